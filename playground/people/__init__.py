"""Visitors, their access to runs and models, and the run queue."""
