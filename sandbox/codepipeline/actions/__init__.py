"""What the actions of a pipeline do, one room per action provider."""
