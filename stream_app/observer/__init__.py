"""What happens on the path of a record, told once to whoever listens."""
