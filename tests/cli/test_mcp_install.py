"""`interlock mcp install`, on real files in a folder of their own."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from interlock.cli import mcp_install
from interlock.cli.mcp_install import install, interlock_program
from interlock.cli.mcp_plans import legal_name
from interlock.config import load_config
from interlock.core.errors import InterlockError
from interlock.settings_types import plain_name

SETTINGS = """{
  // what the model may use
  "servers": {
    "Files": {
      "type": "stdio",
      "command": "npx",  // needs node
      "args": [
        "-y",
        "@modelcontextprotocol/server-filesystem",
      ],
      "env": {"KEY": "sk-secret"},
    },
    "hub": {"type": "http", "url": "https://mcp.example/mcp"},
  },
}
"""
YAML = "servers:\n  hub:\n    url: https://mcp.example/mcp\n"


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


Install = Callable[..., Said]


@pytest.fixture(autouse=True)
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings, a project with interlock.yaml, and an Interlock at a known place."""
    home = folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mcp_install.sys, "platform", "linux")
    monkeypatch.setattr(mcp_install, "interlock_program", lambda: ("/opt/bin/interlock",))
    (folder / "interlock.yaml").write_text(YAML)
    return home


@pytest.fixture
def mcp_json(folder: Path) -> Path:
    file = folder / ".vscode" / "mcp.json"
    file.parent.mkdir()
    file.write_text(SETTINGS)
    return file


@pytest.fixture
def run() -> Install:
    def command(*arguments: str, answer: str = "") -> Said:
        got = CliRunner().invoke(install, arguments, input=answer)
        if isinstance(got.exception, InterlockError):
            return Said(1, got.stdout, f"{got.exception.detail} {got.exception.help}")
        assert got.exception is None or isinstance(got.exception, SystemExit)
        return Said(got.exit_code, got.stdout, got.stderr)

    return command


def test_servers_are_started_through_interlock_and_all_else_stays(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    said = run("--client", "vscode", "--yes")
    assert said.code == 0
    assert mcp_json.read_text() == SETTINGS.replace(
        '"command": "npx"', '"command": "/opt/bin/interlock"'
    ).replace(
        '        "-y",',
        f"""        "mcp",
        "--config",
        "{folder}/interlock.yaml",
        "--server",
        "files",
        "--",
        "npx",
        "-y",""",
    ).replace("https://mcp.example/mcp", "http://127.0.0.1:8080/mcp/hub")
    assert "MCP: List Servers" in said.err


def test_the_change_is_shown_before_anything_is_written(run: Install, mcp_json: Path) -> None:
    said = run("--client", "vscode", answer="n\n")
    assert said.code == 1 and '+      "command": "/opt/bin/interlock"' in said.out
    assert "Write this?" in said.out and "sk-secret" not in said.out
    assert mcp_json.read_text() == SETTINGS and len([*mcp_json.parent.iterdir()]) == 1


def test_of_a_started_server_that_is_not_listed_it_says_that_it_has_the_defaults(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    for _ in range(2):
        said = run("--client", "vscode", "--yes")
        assert said.code == 0 and "which is fine: files. Such a server has the defaults" in said.err
    (folder / "interlock.yaml").write_text(YAML + "  files: {}\n")
    assert "defaults" not in run("--client", "vscode", "--yes").err
    assert "defaults" not in run("--client", "vscode", "--yes", "--undo").err


@given(name=st.text(max_size=80), taken=st.sets(st.sampled_from(["a", "b", "server"])))
def test_interlock_mcp_takes_every_name_that_is_written(name: str, taken: set[str]) -> None:
    assert plain_name(legal_name(name, taken)) not in taken


HEADERS = '"https://mcp.example/mcp", "headers": {"%s": "%s"}'


@pytest.mark.parametrize("header", ["Authorization", "authorization"])
@pytest.mark.parametrize("value", ["Bearer sk-secret", "Bearer ${input:token}"])
def test_it_says_what_to_do_with_a_secret_that_would_go_to_interlock(
    run: Install, mcp_json: Path, folder: Path, header: str, value: str
) -> None:
    """Fault caught: the server's own token was sent as an agent's key, and every call got a 401."""
    mcp_json.write_text(SETTINGS.replace('"https://mcp.example/mcp"', HEADERS % (header, value)))
    for _ in range(2):
        said = run("--client", "vscode", "--yes")
        assert "servers.hub: its `Authorization` stays in this file" in said.err
        assert f"`servers.hub.credentials` in {folder}/interlock.yaml" in said.err
        assert "interlock keys create agent" in said.err and "sk-secret" not in said.err + said.out
    assert "credentials" not in run("--client", "vscode", "--yes", "--undo").err


@pytest.mark.parametrize(
    ("header", "value"), [("Authorization", "Bearer ilk_agent_1"), ("X-Project", "shop")]
)
def test_of_a_key_of_interlock_and_of_other_headers_nothing_has_to_be_said(
    run: Install, mcp_json: Path, header: str, value: str
) -> None:
    mcp_json.write_text(SETTINGS.replace('"https://mcp.example/mcp"', HEADERS % (header, value)))
    assert "credentials" not in run("--client", "vscode", "--yes").err


def test_a_token_that_codex_sends_is_named_too(run: Install, home: Path) -> None:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    url = 'url = "https://mcp.example/mcp"\n'
    for more in ('bearer_token_env_var = "HUB"', 'http_headers = {Authorization = "Bearer x"}'):
        file.write_text(f"[mcp_servers.hub]\n{url}{more}\n")
        assert "servers.hub.credentials" in run("--client", "codex", "--yes").err


def test_with_a_yes_it_is_written(run: Install, mcp_json: Path) -> None:
    assert run("--client", "vscode", answer="y\n").code == 0
    assert "/opt/bin/interlock" in mcp_json.read_text()


def test_a_dry_run_writes_nothing_and_asks_nothing(run: Install, mcp_json: Path) -> None:
    said = run("--client", "vscode", "--dry-run")
    assert said.code == 0 and "/opt/bin/interlock" in said.out and "Write" not in said.out
    assert mcp_json.read_text() == SETTINGS and len([*mcp_json.parent.iterdir()]) == 1


def test_a_second_install_changes_nothing(run: Install, mcp_json: Path) -> None:
    run("--client", "vscode", "--yes")
    first, files = mcp_json.read_bytes(), sorted(mcp_json.parent.iterdir())
    said = run("--client", "vscode", "--yes")
    assert said.code == 0 and "already" in said.out
    assert (mcp_json.read_bytes(), sorted(mcp_json.parent.iterdir())) == (first, files)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_undo_gives_the_very_bytes_back(
    run: Install, mcp_json: Path, newline: str, mark: str
) -> None:
    body = (mark + SETTINGS.replace("\n", newline)).encode()
    mcp_json.write_bytes(body)
    run("--client", "vscode", "--yes")
    assert mcp_json.read_bytes() != body
    assert run("--client", "vscode", "--yes", "--undo").code == 0
    assert mcp_json.read_bytes() == body


def test_undo_keeps_what_was_changed_meanwhile(run: Install, mcp_json: Path) -> None:
    run("--client", "vscode", "--yes")
    more = mcp_json.read_text().replace("{\n  //", '{\n  "inputs": [],\n  //')
    mcp_json.write_text(more.replace("needs node", "needs node 22"))
    run("--client", "vscode", "--yes", "--undo")
    want = SETTINGS.replace("{\n  //", '{\n  "inputs": [],\n  //')
    assert mcp_json.read_text() == want.replace("needs node", "needs node 22")


def test_undo_works_where_interlock_yaml_is_gone_or_wrong(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    for ruin in (lambda f: f.write_text("nonsense: [\n"), lambda f: f.unlink()):
        (folder / "interlock.yaml").write_text(YAML)
        run("--client", "vscode", "--yes")
        ruin(folder / "interlock.yaml")
        assert run("--client", "vscode", "--yes", "--undo").code == 0
        assert mcp_json.read_text() == SETTINGS


def test_undo_without_an_install_says_so(run: Install, mcp_json: Path) -> None:
    said = run("--client", "vscode", "--undo", "--yes")
    assert said.code == 0 and "None of these servers" in said.out
    assert mcp_json.read_text() == SETTINGS


def test_only_the_named_servers_are_changed_and_put_back(run: Install, mcp_json: Path) -> None:
    run("--client", "vscode", "--yes", "--server", "hub")
    half = SETTINGS.replace("https://mcp.example/mcp", "http://127.0.0.1:8080/mcp/hub")
    assert mcp_json.read_text() == half
    run("--client", "vscode", "--yes", "--server", "Files")
    run("--client", "vscode", "--yes", "--undo", "--server", "Files")
    assert mcp_json.read_text() == half
    run("--client", "vscode", "--yes", "--undo")
    assert mcp_json.read_text() == SETTINGS


def test_each_write_keeps_a_private_copy_and_never_writes_over_one(
    run: Install, mcp_json: Path
) -> None:
    mcp_json.chmod(0o640)
    (mcp_json.parent / "mcp.json.interlock-backup").write_text("mine")
    run("--client", "vscode", "--yes")
    run("--client", "vscode", "--yes", "--undo")
    kept = {file.name: file for file in mcp_json.parent.iterdir()}
    assert kept.keys() == {
        "mcp.json",
        "mcp.json.interlock-backup",
        "mcp.json.interlock-backup-2",
        "mcp.json.interlock-backup-3",
    }
    assert kept["mcp.json.interlock-backup"].read_text() == "mine"
    assert kept["mcp.json.interlock-backup-2"].read_text() == SETTINGS
    assert stat.S_IMODE(kept["mcp.json.interlock-backup-2"].stat().st_mode) == 0o600
    assert stat.S_IMODE(mcp_json.stat().st_mode) == 0o640


def test_a_symbolic_link_stays_one_and_its_target_is_changed(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    real = folder / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    mcp_json.rename(real)
    mcp_json.symlink_to(real)
    assert run("--client", "vscode", "--yes").code == 0
    assert mcp_json.is_symlink() and "/opt/bin/interlock" in real.read_text()
    assert [file.name for file in mcp_json.parent.iterdir()] == ["mcp.json"]


def test_a_server_that_interlock_yaml_lacks_is_left_and_the_lines_are_given(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    (folder / "interlock.yaml").write_text("")
    text = SETTINGS.replace(
        '"hub"', '"old": {"type": "sse", "url": "http://127.0.0.1:9/sse"}, "hub"'
    )
    mcp_json.write_text(text)
    said = run("--client", "vscode", "--yes")
    assert said.code == 1, "a server is left that does not go through Interlock"
    assert "servers.hub (line 13): not changed, because" in said.out
    assert 'url": "https://mcp.example/mcp"' in mcp_json.read_text()
    lines = said.out[said.out.index("\nservers:\n") : said.out.index("Written.")]
    (folder / "interlock.yaml").write_text(lines)
    listed = load_config(folder / "interlock.yaml", {}).servers
    assert {name: (each.url, each.transport) for name, each in listed.items()} == {
        "old": ("http://127.0.0.1:9/sse", "sse"),
        "hub": ("https://mcp.example/mcp", "streamable-http"),
    }
    assert run("--client", "vscode", "--yes").code == 0
    assert "http://127.0.0.1:8080/mcp/old" in mcp_json.read_text()


def test_the_listener_of_interlock_yaml_is_the_address(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    (folder / "interlock.yaml").write_text(YAML + "agents: {listen: '0.0.0.0:9000'}\n")
    run("--client", "vscode", "--yes")
    assert "http://127.0.0.1:9000/mcp/hub" in mcp_json.read_text()


def test_the_settings_of_the_user_are_found_too_and_told_of(
    run: Install, mcp_json: Path, home: Path
) -> None:
    user = home / ".config" / "Code" / "User" / "mcp.json"
    user.parent.mkdir(parents=True)
    user.write_text(SETTINGS)
    said = run("--client", "vscode", "--yes")
    assert f"also has servers in {user}" in said.err and user.read_text() == SETTINGS
    mcp_json.write_text('{"servers": {}}')
    run("--client", "vscode", "--yes")
    assert user.read_text() != SETTINGS


def test_claude_code_has_servers_for_the_user_and_for_projects(run: Install, home: Path) -> None:
    server = {"type": "stdio", "command": "npx", "args": ["x"], "env": {}}
    state = {"numStartups": 4, "projects": {"/a": {"mcpServers": {"in": server}}}}
    text = json.dumps(state | {"mcpServers": {"all": server}}, indent=2)
    (home / ".claude.json").write_text(text)
    assert run("--client", "claude-code", "--yes").code == 0
    now = json.loads((home / ".claude.json").read_text())
    for entry in (now["mcpServers"]["all"], now["projects"]["/a"]["mcpServers"]["in"]):
        assert entry["command"] == "/opt/bin/interlock" and entry["args"][-2:] == ["npx", "x"]
    run("--client", "claude-code", "--yes", "--undo")
    assert (home / ".claude.json").read_text() == text


def test_codex_keeps_its_comments(run: Install, home: Path) -> None:
    text = '# mine\n[mcp_servers.fs]\ncommand = "npx" # c\n[mcp_servers.fs.env]\nK = "v"\n'
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)
    assert run("--client", "codex", "--yes").code == 0
    assert 'command = "/opt/bin/interlock" # c\n[mcp_servers.fs.env]' in file.read_text()
    run("--client", "codex", "--yes", "--undo")
    assert file.read_text() == text


def test_any_other_client_is_served_by_naming_its_file(run: Install, folder: Path) -> None:
    (folder / "x.json").write_text('{"mcpServers": {"a": {"command": "b"}}}')
    assert run("--client", "other", "--config", "x.json", "--yes").code == 0
    assert "/opt/bin/interlock" in (folder / "x.json").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("{", "mcp.json:1:2: ends before the closing `}`"),
        ("servers: {}", "expected a value"),
        ("{}", "nothing under `servers` or `mcp.servers`"),
        ('{"servers": {}}', "Add the servers in the client first"),
        ('{"servers": {}, "servers": {}}', "'servers' is there twice"),
        ('{"servers": {"a": {"command": "b"}}}', "has no server 'Files'"),
        (SETTINGS.replace("Files", "files"), "did you mean 'files'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_stays(
    run: Install, mcp_json: Path, text: str, told: str
) -> None:
    mcp_json.write_text(text)
    said = run("--client", "vscode", "--yes", "--server", "Files")
    assert said.code == 1 and told in said.err and str(mcp_json) in said.err
    assert mcp_json.read_text() == text and len([*mcp_json.parent.iterdir()]) == 1


def test_bytes_that_are_no_text_are_refused(run: Install, mcp_json: Path) -> None:
    mcp_json.write_bytes(b'{"a": "\xff"}')
    assert "is not UTF-8 (byte 7)" in run("--client", "vscode", "--yes").err


def test_a_missing_file_is_said_with_where_it_was_looked_for(run: Install, home: Path) -> None:
    said = run("--client", "cursor")
    assert said.code == 1 and f"{home}/.cursor/mcp.json" in said.err and "--config" in said.err
    assert "no/such" in run("--client", "cursor", "--config", "no/such").err
    assert "no ordinary file" in run("--client", "cursor", "--config", str(home)).err


def test_links_that_lead_nowhere_or_round_are_refused(run: Install, folder: Path) -> None:
    (folder / "a").symlink_to(folder / "b")
    assert "cannot be read" in run("--client", "other", "--config", "a").err
    (folder / "b").symlink_to(folder / "a")
    assert "cannot be read" in run("--client", "other", "--config", "a").err


def test_without_interlock_yaml_nothing_is_installed(
    run: Install, mcp_json: Path, folder: Path
) -> None:
    (folder / "interlock.yaml").unlink()
    said = run("--client", "vscode", "--yes")
    assert said.code == 1 and "interlock init" in said.err
    assert mcp_json.read_text() == SETTINGS


def test_a_file_that_cannot_be_written_stays_whole(
    run: Install, mcp_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only = lambda path, mode: mode != os.W_OK  # noqa: E731 (root may write all files)
    monkeypatch.setattr("os.access", read_only)
    said = run("--client", "vscode", "--yes")
    assert said.code == 1 and "it is read-only" in said.err
    assert mcp_json.read_text() == SETTINGS and len([*mcp_json.parent.iterdir()]) == 1


def test_a_write_that_fails_leaves_the_file_and_no_rubbish(
    run: Install, mcp_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    said = run("--client", "vscode", "--yes")
    assert said.code == 1 and "No space left" in said.err and "It is as it was" in said.err
    assert mcp_json.read_text() == SETTINGS
    assert sorted(file.name for file in mcp_json.parent.iterdir()) == [
        "mcp.json",
        "mcp.json.interlock-backup",
    ]


def test_a_file_that_the_client_wrote_meanwhile_is_not_overwritten(
    run: Install, mcp_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(*_: object, **__: object) -> bool:
        mcp_json.write_text("{}")
        return True

    monkeypatch.setattr("click.confirm", answered)
    said = run("--client", "vscode")
    assert said.code == 1 and "was changed while you looked" in said.err
    assert mcp_json.read_text() == "{}"


def test_what_a_file_says_moves_no_cursor(run: Install, mcp_json: Path) -> None:
    mcp_json.write_text('{"servers": {"a\\u001b[2J": {"command": "b" /* \x1b[2J */}}}')
    said = run("--client", "vscode", "--dry-run")
    assert said.code == 0 and "\x1b" not in said.out


def test_interlock_is_named_by_an_absolute_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = folder / "interlock"
    script.touch()
    monkeypatch.setattr(sys, "argv", ["interlock", "mcp"])
    assert interlock_program() == (str(script),)
    monkeypatch.setattr(sys, "argv", [str(folder / "__main__.py")])
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    assert interlock_program() == (str(folder / "bin" / "python"), "-m", "interlock")
