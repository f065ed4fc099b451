"""Runs from their configuration to their model."""
