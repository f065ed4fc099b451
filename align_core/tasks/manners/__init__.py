"""Everyday questions, to be answered shortly, directly and politely."""
