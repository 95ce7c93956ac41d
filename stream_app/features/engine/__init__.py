"""The engine: reads columns and applies updates, in serving and in training."""
