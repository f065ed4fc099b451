"""What programs may ask of the server: three functions, for `gradio_client` and for MCP."""
