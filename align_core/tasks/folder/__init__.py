"""A task as a folder without code: task.toml, files of rows, and a reward made of named parts."""
