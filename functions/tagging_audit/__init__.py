"""tagging_audit: a verdict for every resource, and a word on what could not be seen."""
