"""Texts on their way to token ids, and files of preference pairs."""
