"""The engine as a WebRTC peer."""
