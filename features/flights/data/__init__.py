"""The flights of 2013: the vendored data, the events made of it, and malformed ones."""
