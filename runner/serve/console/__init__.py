"""The live console: a page on this machine that shows every call of the process, and steers it."""
