"""Drives one Python client, in the environment that has it: python driver.py --client NAME ..."""

import sys
from importlib import import_module

from drivers.asking import Driver, drive

# a client is imported only when it is driven: no environment has them all
DRIVERS = {
    "mcp-1": ("mcp_1", "drive"),
    "mcp-2": ("mcp_2", "modern"),
    "mcp-2-legacy": ("mcp_2", "legacy"),
    "langchain": ("langchain_adapters", "drive"),
    "fastmcp": ("fastmcp_client", "drive"),
    "openai-agents": ("openai_agents", "drive"),
    "pydantic-ai": ("pydantic_ai_agent", "drive"),
}


def load(client: str) -> Driver:
    module, function = DRIVERS[client]
    return getattr(import_module(f"drivers.{module}"), function)


if __name__ == "__main__":
    drive(tuple(DRIVERS), load, sys.argv[1:])
