"""Serves the conformance fixture on 127.0.0.1; its first line of output is its URL.

    python -m tests.conformance.everything_server [--port 0]

Logs go to stderr.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import warnings

import uvicorn
from mcp.shared.exceptions import MCPDeprecationWarning

from tests.conformance.everything import build_server
from tests.conformance.everything.events import Events

RETRY_MS = 100  # how soon a client that lost its stream may come back


def main(argv: list[str] | None = None) -> None:
    """Serves until the process is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    port = parser.parse_args(argv).port
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    # logs and sampling are deprecated, and served as long as clients have them
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    app = build_server().streamable_http_app(event_store=Events(), retry_interval=RETRY_MS)
    with socket.create_server(("127.0.0.1", port)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
