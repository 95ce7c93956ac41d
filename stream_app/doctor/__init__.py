"""A deployment is looked at, before it runs or beside it: everything that a start checks, and more."""
