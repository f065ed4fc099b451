"""Builds what is embedded in `assets/`."""
