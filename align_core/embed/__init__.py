"""A run as one HTML page, which plays from a file, in a slide's frame or on a static host."""
