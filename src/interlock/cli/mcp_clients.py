"""Where each MCP client keeps its settings, and under which key the servers stand in them.

Sources, read in November 2026: Claude Code, code.claude.com/docs/en/mcp; Claude Desktop,
modelcontextprotocol.io (quickstart for users); Cursor, cursor.com/docs/mcp; VS Code,
code.visualstudio.com/docs/copilot/reference/mcp-configuration; Windsurf,
docs.windsurf.com/windsurf/cascade/mcp (and /plugins/cascade/mcp for JetBrains); Codex,
openai/codex docs/config.md; Gemini CLI, google-gemini/gemini-cli docs/tools/mcp-server.md; Zed,
zed.dev/docs/ai/mcp; Cline, docs.cline.bot/getting-started/config.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ANY = "*"  #: in a place: whatever key stands there

_SHARED = (("mcpServers",),)
_CODE = "{settings}/Code/User"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program that starts MCP servers.

    `files`: where its settings are, the most specific first; `{project}` is the working directory,
    `{home}` the user's, `{settings}` where programs keep their settings on this platform.
    `places`: paths of the mappings from a server's name to its entry.
    """

    title: str
    files: tuple[str, ...]
    places: tuple[tuple[str, ...], ...] = _SHARED
    after: str = "Restart it."  #: what makes it read its settings again


CLIENTS: Mapping[str, Client] = {
    "claude-code": Client(
        title="Claude Code",
        files=("{project}/.mcp.json", "{claude}/.claude.json"),
        places=(("mcpServers",), ("projects", ANY, "mcpServers")),
        after="Start a new session; `/mcp` shows the servers.",
    ),
    "claude-desktop": Client(
        title="Claude Desktop",
        files=("{settings}/Claude/claude_desktop_config.json",),
        after="Quit it and start it again; closing the window is not enough.",
    ),
    "cursor": Client(
        title="Cursor",
        files=("{project}/.cursor/mcp.json", "{home}/.cursor/mcp.json"),
        after="Settings, MCP: refresh the servers.",
    ),
    "vscode": Client(
        title="VS Code",
        files=(
            "{project}/.vscode/mcp.json",
            f"{_CODE}/mcp.json",
            "{project}/.vscode/settings.json",
            f"{_CODE}/settings.json",
        ),
        places=(("servers",), ("mcp", "servers"), ("mcp.servers",)),
        after="Command palette, `MCP: List Servers`: restart them.",
    ),
    "windsurf": Client(
        title="Windsurf",
        files=("{home}/.codeium/windsurf/mcp_config.json", "{home}/.codeium/mcp_config.json"),
        after="Cascade panel, MCP servers: refresh.",
    ),
    "codex": Client(
        title="Codex",
        files=("{project}/.codex/config.toml", "{codex}/config.toml"),
        places=(("mcp_servers",),),
        after="Start a new session; `/mcp` shows the servers.",
    ),
    "gemini-cli": Client(
        title="Gemini CLI",
        files=("{project}/.gemini/settings.json", "{home}/.gemini/settings.json"),
        after="Start a new session; `/mcp` shows the servers.",
    ),
    "zed": Client(
        title="Zed",
        files=("{project}/.zed/settings.json", "{zed}/settings.json"),
        places=(("context_servers",),),
        after="It reads its settings at once.",
    ),
    "cline": Client(
        title="Cline",
        files=(
            "{home}/.cline/data/settings/cline_mcp_settings.json",
            f"{_CODE}/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        ),
        after="MCP Servers, Configure: restart the servers.",
    ),
    "other": Client(
        title="this client",
        files=(),
        places=(
            ("mcpServers",),
            ("servers",),
            ("mcp", "servers"),
            ("context_servers",),
            ("mcp_servers",),
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the places of settings depend on. `platform` as `sys.platform` says it."""

    project: Path
    home: Path
    platform: str
    env: Mapping[str, str] = field(repr=False)

    def _from(self, name: str, otherwise: Path) -> Path:
        value = self.env.get(name, "")
        return Path(value) if value else otherwise

    def roots(self) -> dict[str, Path]:
        """Return what stands for each `{...}` in `Client.files`."""
        settings = zed = self._from("XDG_CONFIG_HOME", self.home / ".config")
        if self.platform == "darwin":
            settings = self.home / "Library" / "Application Support"
            zed = self.home / ".config"
        elif self.platform == "win32":
            settings = zed = self._from("APPDATA", self.home / "AppData" / "Roaming")
        return {
            "project": self.project,
            "home": self.home,
            "settings": settings,
            "zed": zed / ("Zed" if self.platform == "win32" else "zed"),
            "claude": self._from("CLAUDE_CONFIG_DIR", self.home),
            "codex": self._from("CODEX_HOME", self.home / ".codex"),
        }


def settings_files(client: Client, around: Surroundings) -> Iterator[Path]:
    """Yield the files where *client* may keep its servers, the most specific first."""
    roots = around.roots()
    for template in client.files:
        root, _, below = template.partition("/")
        yield roots[root[1:-1]].joinpath(*below.split("/"))
