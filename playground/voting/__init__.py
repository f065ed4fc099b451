"""Voting on pairs of texts, alone or in a room, and training on the votes."""
