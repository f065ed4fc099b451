"""Capitals of the world: right answers, said directly."""
