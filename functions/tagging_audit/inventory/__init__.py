"""Finding resources: a union of what several sources know, each resource with where it was seen."""
