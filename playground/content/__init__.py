"""Data about runs and tasks, as the page shows it."""
