"""HTTP in: thin contracts that map their names to the one service underneath."""
