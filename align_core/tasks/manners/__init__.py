"""Everyday questions, to be answered briefly, directly and politely."""
