"""The folder of a model version: what training writes and serving reads."""
