"""Benchmarks of speed, memory and quality: each is a command that stores its results in docs/."""
