"""Settings, and the use case that they name."""
