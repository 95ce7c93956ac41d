"""The records that a worker writes: a module each, in which the record is written and read; and their reasons."""
