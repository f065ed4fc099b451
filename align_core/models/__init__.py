"""Policies, references and reward models: loading, sampling and scoring."""
