"""Six HTTP clients as people use them. Nothing is set but the URL that they call."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client got. Names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    json: Any


Client = Callable[[str, Any], Answer]
"""POSTs a JSON value to a URL."""


def with_httpx(url: str, body: Any) -> Answer:
    got = httpx.post(url, json=body)
    return Answer(status=got.status_code, headers=_lower(got.headers), json=got.json())


def with_requests(url: str, body: Any) -> Answer:
    got = requests.post(url, json=body)
    return Answer(status=got.status_code, headers=_lower(got.headers), json=got.json())


def with_aiohttp(url: str, body: Any) -> Answer:
    async def post() -> Answer:
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as got:
            told = await got.json(content_type=None)
            return Answer(status=got.status, headers=_lower(got.headers), json=told)

    return asyncio.run(post())


def with_curl(url: str, body: Any) -> Answer:
    command = ["curl", "--silent", "--show-error", "--include", "--json", json.dumps(body), url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    head, _, told = shown.partition("\n\n")
    first, *lines = head.splitlines()
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    return Answer(status=int(first.split()[1]), headers=fields, json=json.loads(told))


NODE = """
const [url, body] = process.argv.slice(1);
fetch(url, {method: "POST", headers: {"Content-Type": "application/json"}, body}).then(async got =>
  console.log(JSON.stringify({
    status: got.status, headers: Object.fromEntries(got.headers), json: await got.json(),
  })));
"""


def with_node(url: str, body: Any) -> Answer:
    command = ["node", "--eval", NODE, url, json.dumps(body)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return Answer(**json.loads(shown))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


CLIENTS: Mapping[str, Client] = {
    "httpx": with_httpx,
    "requests": with_requests,
    "aiohttp": with_aiohttp,
    "curl": with_curl,
    "node": with_node,
}
