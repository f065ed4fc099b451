"""Runs seen from outside: their directory, their process, their presets. Needs no torch."""
