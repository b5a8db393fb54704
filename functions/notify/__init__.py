"""notify: what a person should know about a release, in words they can act on."""
