"""Who asks, what they may do, and whose turn it is."""
