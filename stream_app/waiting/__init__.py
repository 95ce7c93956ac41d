"""Waiting for services that are away."""
