"""The picture of the states in docs/architecture.md is drawn from the table that the code obeys."""

from __future__ import annotations

from pathlib import Path

from interlock.core.lifecycle import FINAL, TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def diagram() -> str:
    """Draw TRANSITIONS in Mermaid; events between the same two states share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), targets in TRANSITIONS.items():
        for target in sorted(targets, key=lambda state: state.value):
            arrows.setdefault((state.value, target.value), []).append(event.__name__)
    lines = ["stateDiagram-v2", "    [*] --> proposed"]
    lines += [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in sorted(FINAL, key=lambda s: s.value)]
    return "\n".join(lines)


def test_the_diagram_on_the_page_is_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    drawn = text.partition("```mermaid\n")[2].partition("\n```")[0]

    assert drawn == diagram(), f"put this into {PAGE.name}:\n\n{diagram()}"
