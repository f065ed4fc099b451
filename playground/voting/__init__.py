"""The room that votes."""
