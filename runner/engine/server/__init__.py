"""One WebSocket connection of the engine: what comes in, what goes out, and in which order."""
