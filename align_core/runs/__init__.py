"""Runs as other processes see them: directories, processes, events, presets. Imports no torch."""
