"""Runs from outside: their directories, processes, events and presets. Imports no torch."""
