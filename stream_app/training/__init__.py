"""Training in the words of the use case: a log becomes a matrix, a model becomes a version's folder."""
