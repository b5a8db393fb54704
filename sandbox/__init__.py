"""A local cloud in which the unchanged template is deployed and a real release runs."""
