"""How Interlock's own log looks: lines for people, or JSON for machines, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection

from ..core.masking import without_secrets
from ..core.redaction import visible_text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} "
        line += visible_text(record.getMessage())  # no log line moves a terminal's cursor
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _harmless(record: logging.LogRecord) -> bool:
    """aiohttp logs the bytes of requests it cannot parse: they may hold a credential."""
    if record.name == "aiohttp.server" and record.exc_info:
        kind = record.exc_info[0]
        record.msg, record.args = "aiohttp refused a request: %s", (kind.__name__ if kind else "",)
        record.exc_info, record.exc_text = None, None
    return True


class _Masked(logging.Formatter):
    """Any formatter's lines, without the secrets that policy's detectors find in them."""

    def __init__(self, inner: logging.Formatter, detectors: Callable[[], Collection[str]]) -> None:
        super().__init__()
        self._inner, self._detectors = inner, detectors

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(self._inner.format(record), self._detectors())


def hide_secrets(detectors: Callable[[], Collection[str]]) -> None:
    """Have every line of ours go through *detectors* from now on, as policy names them."""
    for handler in logging.getLogger().handlers:
        inner = handler.formatter
        inner = inner._inner if isinstance(inner, _Masked) else inner
        if isinstance(inner, _Json | _Text):  # what `configure` made
            handler.setFormatter(_Masked(inner, detectors))


def configure(level: str, format: str) -> None:
    """Log at *level* or above, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if format == "json" else _Text())
    handler.addFilter(_harmless)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("interlock").setLevel(level.upper())
