"""The opponents from other projects; each runs in an environment of its own, see `make bench-setup`."""
