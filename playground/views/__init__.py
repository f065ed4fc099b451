"""The views of the page, one module for each, and the parts they share."""
