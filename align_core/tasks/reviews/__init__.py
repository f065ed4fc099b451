"""Film reviews: controlled sentiment."""
