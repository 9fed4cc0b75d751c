"""An MCP server on pipes made with the Python SDK: python sdk_server.py. Its tools are few."""

from __future__ import annotations

import os

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

app = MCPServer("sdk")


class Name(BaseModel):
    """What the user is asked for."""

    name: str


@app.tool()
async def write(line: int, ctx: Context) -> str:
    """Writes a line, and says how it goes."""
    with open(os.environ["WRITTEN"], "a", encoding="utf-8") as file:
        file.write(f'{{"line": {line}}}\n')
    await ctx.report_progress(1, 2, "half")
    return f"wrote {line}"


@app.tool()
async def wipe(line: int, ctx: Context) -> int:
    """Wipes a line."""
    with open(os.environ["WRITTEN"], "a", encoding="utf-8") as file:
        file.write(f'{{"line": {line}}}\n')
    return line


@app.tool()
async def echo(ctx: Context) -> str:
    """Asks the user for a name."""
    answer = await ctx.elicit("Who are you?", Name)
    return f"hello {answer.data.name}" if answer.action == "accept" else answer.action


if __name__ == "__main__":
    app.run("stdio")
