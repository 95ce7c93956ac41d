"""Decode, enrich, score: from records to predictions."""
