"""The contracts with a use case's neighbours: who produces its events, and who reads its predictions."""
