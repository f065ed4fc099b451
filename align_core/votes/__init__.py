"""What people prefer: sessions of votes, raters, and the files they go to."""
