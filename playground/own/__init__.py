"""A visitor's own task: the files that they send, the check of these, and scores by its reward."""
