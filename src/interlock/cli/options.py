"""Options that several commands have, and the configuration that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import DEFAULT_FILE, Override, environment, load_config, load_config_partly
from ..settings import Config

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    return click.option(
        "--config",
        "-c",
        "file",
        type=click.Path(path_type=Path),
        default=Path(DEFAULT_FILE),
        show_default=True,
        help="The configuration file.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def configured(file: Path, *overrides: Override) -> Config:
    """Return the configuration in *file* and the environment. Raises InvalidDocument."""
    return load_config(file, environment(), overrides)


def configured_partly(file: Path) -> Config:
    """Return the configuration for a command that needs few of its secrets, or none."""
    return load_config_partly(file, environment())


def given(name: str, where: str, value: str | None) -> tuple[Override, ...]:
    """Return what an option overrides, if it was given."""
    return () if value is None else (Override(name, tuple(where.split(".")), value),)
