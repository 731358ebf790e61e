"""The Model Context Protocol at /mcp: agents call each model that serves as a tool.

`door` gets the requests that have passed the API's layers. Only `server` imports the SDK, with the first request.
"""
