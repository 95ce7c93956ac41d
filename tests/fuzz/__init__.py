"""Records that nobody should send, and the account of what became of each."""
