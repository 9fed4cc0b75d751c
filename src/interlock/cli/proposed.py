"""A proposed policy beside the one in force: its suites are run, and its files are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InterlockError, InvalidDocument
from ..policies.load import policy_files, read_policies
from ..policies.positions import Document
from ..policies.suite import policies_of, read_suite, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one suite says of the proposal; `failures` as file:line:column: message."""

    file: str
    passed: int
    failures: tuple[str, ...]


def checked_suites(suites: Sequence[Path], files: Mapping[str, Document]) -> list[Checked]:
    """Run *suites* with the texts of *files* in the place of the files on disk."""
    texts = {Path(name).resolve(): document.text for name, document in files.items()}
    return [_checked(suite, texts) for suite in suites]


def _checked(file: Path, texts: Mapping[Path, str]) -> Checked:
    try:
        suite, document = read_suite(file)
        paths = policies_of(suite, file)
        policy = read_policies(
            (str(path), texts.get(path.resolve()) or path.read_bytes()) for path in paths
        )
    except InvalidDocument as error:
        return Checked(file=str(file), passed=0, failures=tuple(map(str, error.problems)))
    report = run(suite, document, policy)
    failures = tuple(str(each.problem) for each in report.failures)
    return Checked(file=str(file), passed=report.passed, failures=failures)


def folder_for(out: Path, live: Sequence[Path]) -> None:
    """Refuse *out* where it is a folder of a policy in force, or has policy files.

    Raises:
        InterlockError: it is, or it has.
    """
    here = out.resolve()
    if any(here in (path.resolve(), path.resolve().parent) for path in _places(live)):
        raise InterlockError(
            f"{out} is where the policy itself is: a proposal is never written over it.",
            help="Name another folder with --out, such as `--out proposed`.",
        )
    if out.is_dir() and any(out.iterdir()):
        raise InterlockError(
            f"{out} is not empty: a proposal is not mixed with what is there.",
            help="Name a folder that is new or empty.",
        )


def _places(live: Sequence[Path]) -> Iterator[Path]:
    yield from live
    for path in live:
        yield from policy_files([path]) if path.exists() else ()


def write(out: Path, files: Mapping[str, Document], suites: Sequence[Path]) -> tuple[str, ...]:
    """Write the proposed files and their suites into *out*, and return their names.

    Raises:
        InterlockError: a file cannot be written, or two have one name.
    """
    texts = {Path(name): document.text.encode() for name, document in files.items()}
    texts |= {suite: suite.read_bytes() for suite in suites}
    names = [path.name for path in texts]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InterlockError(
            f"Two files are named {twice}, and a proposal is one folder.",
            help="Rename one of them, or tune one folder at a time with --policy.",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with (out / path.name).open("xb") as file:
                file.write(text)
    except OSError as error:
        raise InterlockError(
            f"{error.filename} cannot be written: {error.strerror}.",
            help="Name another folder with --out.",
        ) from None
    return tuple(str(out / name) for name in names)
