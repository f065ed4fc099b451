"""What a run may be asked for, and the words in which a bad request is refused."""
