"""Telephones that ring at the engine: other people's, and a bare one on UDP."""
