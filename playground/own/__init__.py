"""A visitor's own task: receiving and checking its files, and scoring texts by its reward."""
