"""The schema in the YAML language server that editors use; skipped where it is not installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.policies.schema_files import policy_schema

SERVER = shutil.which("yaml-language-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="yaml-language-server is not on the PATH")
POLICY = """# yaml-language-server: $schema=policy.schema.json
apiVersion: interlock/v1
kind: Policy
metadata: {name: p, version: 1}
tools:
  - id: pay
    http: {upstream: bank, method: POST, path: /pay}
    reversibility: irreversable
    facets: {data: internal}
rules:
  - id: big
    tools: [pay]
    """


class Client:
    """Speaks LSP over the pipes of one server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def until(self, wanted: Callable[[Any], Any]) -> Any:
        while not wanted(message := self._received()):
            if message.get("method") == "workspace/configuration":
                settings = {"validate": True, "completion": True, "schemaStore": {"enable": False}}
                asked = [each.get("section") for each in message["params"]["items"]]
                answer = [settings if section == "yaml" else {} for section in asked]
                self.send(id=message["id"], result=answer)
            elif "method" in message and "id" in message:
                self.send(id=message["id"], result=None)
        return message

    def _received(self) -> Any:
        assert self.process.stdout is not None
        size = 0
        while line := self.process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        return json.loads(self.process.stdout.read(size))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "policy.schema.json").write_text(json.dumps(policy_schema()))
    process = subprocess.Popen(
        [str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    client = Client(process)
    able = {"workspace": {"configuration": True}, "textDocument": {"completion": {}}}
    start = {"processId": os.getpid(), "rootUri": tmp_path.as_uri(), "capabilities": able}
    client.send(id=1, method="initialize", params=start)
    client.until(lambda message: message.get("id") == 1)
    client.send(method="initialized", params={})
    yield client
    process.kill()
    process.communicate()


def test_an_editor_marks_a_wrong_word_and_offers_the_keys_of_a_rule(
    client: Client, tmp_path: Path
) -> None:
    uri = (tmp_path / "p.yaml").as_uri()
    opened = {"uri": uri, "languageId": "yaml", "version": 1, "text": POLICY}
    client.send(method="textDocument/didOpen", params={"textDocument": opened})
    told = client.until(
        lambda message: (
            message.get("method") == "textDocument/publishDiagnostics"
            and message["params"]["diagnostics"]
        )
    )
    end = {"line": POLICY.count("\n"), "character": 4}
    here = {"textDocument": {"uri": uri}, "position": end}
    client.send(id=2, method="textDocument/completion", params=here)
    answer = client.until(lambda message: message.get("id") == 2)["result"]
    offered = [each["label"] for each in answer["items"]]

    (problem,) = told["params"]["diagnostics"]
    assert problem["range"]["start"] == {"line": 7, "character": 19}
    assert 'Valid values: "read_only", "reversible"' in problem["message"]
    assert {"when", "at_least", "stake", "deny"} <= set(offered)
    assert "id" not in offered
