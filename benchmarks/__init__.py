"""Speed, memory and quality, each one command; results are kept beside and shown in docs/."""
