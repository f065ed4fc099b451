"""Proximal policy optimisation, this project's own."""
