"""Tasks as folders without code: task.toml, files of rows, and a reward made of named parts."""
