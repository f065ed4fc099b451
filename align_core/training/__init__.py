"""Execution of runs, from their configuration to their model."""
