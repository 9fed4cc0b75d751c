"""The configuration's page is the configuration's models."""

from __future__ import annotations

from pathlib import Path

from interlock.cli.confdocs import document
from interlock.cli.main import COMMANDS
from interlock.config import load_config

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    written = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert written == document(), "run `python -m interlock.cli.confdocs > docs/configuration.md`"


def test_every_setting_is_explained() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_example_on_the_page_is_valid(tmp_path: Path) -> None:
    example = document().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "interlock.yaml").write_text(example)
    config = load_config(tmp_path / "interlock.yaml", {"BANK_TOKEN": "t", "GITHUB_TOKEN": "g"})
    assert config.upstreams["bank"].hold == 10


def test_every_command_is_on_the_page_of_commands() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"interlock {name}" not in page] == []
