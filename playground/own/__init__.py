"""A visitor's own task: what they send, its check, and what each part of its reward gives."""
