"""Many workers on one host: each a process in a slot, started again when it ends, stopped together."""
