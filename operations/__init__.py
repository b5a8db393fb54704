"""What a person runs from a laptop to bring stacks up, take them down, and describe them."""
