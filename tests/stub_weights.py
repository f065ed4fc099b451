"""Weights for folders that only have to look like models."""

NO_TENSORS = b"\x02" + 7 * b"\0" + b"{}"  # a file in safetensors
