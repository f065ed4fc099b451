"""Proximal policy optimisation: trainer, settings, rollouts, metrics and checkpoints."""
