"""The requests of each view to the server."""
