"""The Model Context Protocol at /mcp: agents call each model that serves as a tool.

`door` takes the request behind the API's layers. Only `server` and what it imports load the SDK, on first use.
"""
