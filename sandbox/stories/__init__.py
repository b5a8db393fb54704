"""Stories: what happens to a release, as short scripts that play against a running sandbox."""
