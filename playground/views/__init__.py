"""The views of the page, one module each, and what several of them share."""
