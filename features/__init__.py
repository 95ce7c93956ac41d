"""The shared feature library, and the demo use case built on it."""
