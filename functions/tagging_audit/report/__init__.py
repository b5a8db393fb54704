"""What an audit found, for a person, a spreadsheet and a program."""
