"""Training of the demo's models."""
