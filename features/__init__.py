"""The use case of the demo, laid out as one of your own would be."""
