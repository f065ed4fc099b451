"""What each view asks of the server."""
