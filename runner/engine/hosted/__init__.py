"""MCP servers that the engine itself lists and calls for a session, as the service does."""
