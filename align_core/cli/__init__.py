"""The command line: `python -m align_core`."""
