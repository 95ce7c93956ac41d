"""The beginning of a new project: a use case, its training, its tests and its image."""
