"""Stands for an MCP server: it is named, watched and never run here."""
