"""Run configurations: methods, settings, tasks and models, and the messages for invalid input."""
