"""People's preferences: sessions of votes, simulated raters, preference files, statistics."""
