"""Records that kill the process: tried in a child process, one after the other."""
