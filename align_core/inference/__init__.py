"""Queries to trained models: samples, rewards, log-probabilities and evaluations."""
