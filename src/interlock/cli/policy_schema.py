"""`interlock policy schema`: JSON Schemas for editors, of all files that people write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..policies.schema_files import policy_schema, schema_of, suite_schema
from ..settings import Config

_KINDS = ("policy", "policy_test", "config")
_TEXT = {"type": "string"}
_SECRET: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "properties": {how: _TEXT},
            "required": [how],
            "additionalProperties": False,
        }
        for how in ("from_env", "from_file")
    ]
}
_WRITTEN: dict[str, Any] = {
    "duration": {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$"},
    "size": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([kKMG]i?)?B?\s*$"},
        ]
    },
    "address": {"type": "string", "pattern": r":\d{1,5}$"},
    "file_path": {"type": "string", "minLength": 1},
    "web_url": {"type": "string", "pattern": r"^(https?://.+)?$"},
    "secret": _SECRET,
    "store_url": {"anyOf": [{"type": "string", "pattern": "^(redis|rediss|unix)://"}, _SECRET]},
}


@click.command()
@click.argument("kind", type=click.Choice(_KINDS), required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write KIND.schema.json into this directory; all kinds where none is named.",
)
def schema(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of a policy, a suite (policy_test) or interlock.yaml (config).

    \b
    For editors with the YAML language server: write them, and name one in a file's first line,
    as seen from that file. Beside interlock.yaml, with the policies in policies/:
      interlock policy schema --out schemas
      # yaml-language-server: $schema=../schemas/policy.schema.json   in policies/pay.yaml
      # yaml-language-server: $schema=schemas/config.schema.json      in interlock.yaml

    Exit status: 0 done, 1 a file cannot be written, 2 wrong usage.
    """
    if out is None:
        if kind is None:
            raise click.UsageError(f"Name a kind ({', '.join(_KINDS)}), or give --out DIRECTORY.")
        click.echo(_text(kind))
        return
    for each in [kind] if kind else _KINDS:
        target = out / f"{each}.schema.json"
        try:
            out.mkdir(parents=True, exist_ok=True)
            target.write_text(_text(each) + "\n", encoding="utf-8")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise click.ClickException(f"{target} cannot be written: {reason}") from None
        click.echo(str(target))


def _text(kind: str) -> str:
    return json.dumps(schema_for(kind), indent=2, ensure_ascii=True)


def schema_for(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of one kind of file: policy, policy_test or config."""
    if kind == "policy":
        return policy_schema()
    if kind == "policy_test":
        return suite_schema()
    return schema_of(Config, {}, "Configuration of Interlock (interlock.yaml)", _as_written)


def _as_written(validator: str, inner: dict[str, Any]) -> dict[str, Any]:
    if validator == "embedded_or_mapping":
        return {"anyOf": [{"const": "embedded"}, inner]}
    return dict(_WRITTEN.get(validator, inner))
