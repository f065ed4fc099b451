"""Policies, references and reward models: loaded, sampled and scored."""
