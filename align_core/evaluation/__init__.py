"""One measure for every method."""
