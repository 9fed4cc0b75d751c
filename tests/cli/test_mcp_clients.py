"""Where clients keep their settings, and that the forms in their own documents are understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.cli.mcp_clients import CLIENTS, Surroundings, settings_files
from interlock.cli.mcp_plans import read_settings


def files(client: str, platform: str = "linux", **env: str) -> list[str]:
    around = Surroundings(project=Path("/p"), home=Path("/home/ann"), platform=platform, env=env)
    return [file.as_posix() for file in settings_files(CLIENTS[client], around)]


@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("linux", {}, "/home/ann/.config/Claude/claude_desktop_config.json"),
        ("linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
        (
            "darwin",
            {},
            "/home/ann/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("win32", {"APPDATA": "/roaming"}, "/roaming/Claude/claude_desktop_config.json"),
        ("win32", {}, "/home/ann/AppData/Roaming/Claude/claude_desktop_config.json"),
    ],
)
def test_desktop_settings_are_where_the_platform_keeps_them(
    platform: str, env: dict[str, str], expected: str
) -> None:
    assert files("claude-desktop", platform, **env) == [expected]


def test_a_project_comes_before_the_user() -> None:
    assert files("claude-code") == ["/p/.mcp.json", "/home/ann/.claude.json"]
    assert files("cursor") == ["/p/.cursor/mcp.json", "/home/ann/.cursor/mcp.json"]
    assert files("vscode")[:2] == ["/p/.vscode/mcp.json", "/home/ann/.config/Code/User/mcp.json"]
    assert files("gemini-cli") == ["/p/.gemini/settings.json", "/home/ann/.gemini/settings.json"]


def test_variables_of_the_clients_move_their_settings() -> None:
    assert files("codex", CODEX_HOME="/c")[-1] == "/c/config.toml"
    assert files("codex")[-1] == "/home/ann/.codex/config.toml"
    assert files("claude-code", CLAUDE_CONFIG_DIR="/cc")[-1] == "/cc/.claude.json"


def test_zed_is_in_the_config_directory_even_on_a_mac() -> None:
    assert files("zed", "darwin")[-1] == "/home/ann/.config/zed/settings.json"
    assert files("zed", "win32", APPDATA="/r")[-1] == "/r/Zed/settings.json"


def test_both_homes_of_windsurf_and_of_cline_are_known() -> None:
    assert [file.removeprefix("/home/ann/.codeium/") for file in files("windsurf")] == [
        "windsurf/mcp_config.json",
        "mcp_config.json",
    ]
    assert files("cline")[0] == "/home/ann/.cline/data/settings/cline_mcp_settings.json"
    assert "saoudrizwan.claude-dev" in files("cline")[1]


STDIO = '{"command": "npx", "args": ["-y", "x"], "env": {}}'
FORMS = [
    ("claude-code", ".mcp.json", f'{{"mcpServers": {{"s": {STDIO}}}}}'),
    (
        "claude-code",
        ".claude.json",
        f'{{"projects": {{"/a": {{"mcpServers": {{"s": {STDIO}}}}}}}}}',
    ),
    ("claude-desktop", "claude_desktop_config.json", f'{{"mcpServers": {{"s": {STDIO}}}}}'),
    ("cursor", "mcp.json", f'{{"mcpServers": {{"s": {STDIO}}}}}'),
    ("vscode", "mcp.json", f'{{"servers": {{"s": {STDIO}}}, "inputs": []}}'),
    ("vscode", "settings.json", f'{{"mcp": {{"servers": {{"s": {STDIO}}}}}}}'),
    ("windsurf", "mcp_config.json", f'{{"mcpServers": {{"s": {STDIO}}}}}'),
    ("codex", "config.toml", '[mcp_servers.s]\ncommand = "npx"\nargs = ["-y", "x"]'),
    ("gemini-cli", "settings.json", f'{{"mcpServers": {{"s": {STDIO}}}}}'),
    ("zed", "settings.json", f'{{"context_servers": {{"s": {STDIO}}}}}'),
    (
        "zed",
        "settings.json",
        '{"context_servers": {"s": {"command": {"path": "npx", "args": ["-y", "x"]}}}}',
    ),
    ("cline", "cline_mcp_settings.json", f'{{"mcpServers": {{"s": {STDIO}}}}}'),
    ("other", "x.json", f'{{"servers": {{"s": {STDIO}}}}}'),
]


@pytest.mark.parametrize(("client", "file", "text"), FORMS)
def test_a_server_of_each_client_is_found(client: str, file: str, text: str) -> None:
    (entry,) = read_settings(file, text, CLIENTS[client].places).entries
    assert (entry.name, entry.words, entry.problem) == ("s", ("npx", "-y", "x"), "")


@pytest.mark.parametrize(
    ("client", "file", "text"),
    [
        ("windsurf", "f.json", '{"mcpServers": {"s": {"serverUrl": "https://x.y/mcp"}}}'),
        ("gemini-cli", "f.json", '{"mcpServers": {"s": {"httpUrl": "https://x.y/mcp"}}}'),
        ("cursor", "f.json", '{"mcpServers": {"s": {"url": "https://x.y/mcp"}}}'),
        ("codex", "f.toml", '[mcp_servers.s]\nurl = "https://x.y/mcp"'),
    ],
)
def test_a_server_behind_a_url_is_found(client: str, file: str, text: str) -> None:
    (entry,) = read_settings(file, text, CLIENTS[client].places).entries
    assert (entry.address, entry.problem) == ("https://x.y/mcp", "")


def test_every_client_has_a_place_and_says_what_to_do_after() -> None:
    for name, client in CLIENTS.items():
        assert client.places and client.after.endswith(".")
        assert client.files or name == "other"
