"""What the page says of runs and tasks, as data."""
