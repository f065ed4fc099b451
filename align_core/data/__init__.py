"""Encoding of texts as token ids, and files of rows in TRL's formats."""
