"""A deployment in a Cloudflare Worker. Standard library alone, and what Pyodide brings."""
