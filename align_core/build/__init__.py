"""Builds the embedded models and data in `assets/`."""
