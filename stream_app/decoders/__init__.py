"""Decoders that stand on optional packages: values behind the framing of a schema registry."""
