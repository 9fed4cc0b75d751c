"""A first catalogue, drafted from what an API or an MCP server says of itself.

`openapi` and `mcp_server` read operations; `judge` guesses, with reasons; `entries` and `cases`
write the policy files and their tests. Nothing here is random and nothing asks a model: the same
input gives the same bytes.
"""
