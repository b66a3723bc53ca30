"""The command line: what it is called, and where what it does is found."""
