"""What goes out: predictions, dead letters and feature rows, their headers, ids and reasons."""
