"""Runs the MCP conformance suite, and names what is lost beside what is expected.

    python -m tests.conformance.run                      the fixture server, nothing in between
    python -m tests.conformance.run --through COMMAND    a proxy before the fixture
    python -m tests.conformance.run --url URL            a server or proxy that runs already
    ... --part tasks      the scenarios of the tasks extension, for a proxy that makes tasks
    ... --part client     the client scenarios with the reference client; --through as above

COMMAND is a proxy: it gets a URL as its last argument, prints the URL to use instead as its first
line, and runs until it is stopped. Expected is what is in expected/: all that the fixture and the
reference client pass with nothing in between, and all of the tasks scenarios. The exit status is 1
if anything of it is lost.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from tests.conformance import suite
from tests.conformance.processes import fixture
from tests.conformance.results import Check, client_end, compare, lines, load, read, save, totals

T = TypeVar("T")
EXPECTED = suite.HERE / "expected"
LEGACY, MODERN = VERSIONS = ("2025-11-25", "2026-07-28")
TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-status-notifications",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
CLIENT = {
    LEGACY: (
        "initialize",
        "tools_call",
        "elicitation-sep1034-client-defaults",
        "sse-retry",
        "json-schema-2020-12-preservation",
    ),
    MODERN: (
        "tools_call",
        "request-metadata",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
        "json-schema-2020-12-preservation",
        "sep-2322-client-request-state",
    ),
}
_AT_ONCE = 3  # scenarios that run beside each other; they mostly wait


def server(url: str, versions: Iterable[str], out: Path) -> tuple[Check, ...]:
    """Every server scenario of each of *versions*, against *url*."""
    return tuple(check for version in versions for check in _server(url, version, out))


def _server(url: str, version: str, out: Path) -> tuple[Check, ...]:
    folder = _empty(out / f"server-{version}")
    suite.invoke(
        *("server", "--url", url, "--suite", "all", "--spec-version", version, "-o", str(folder))
    )
    return read(f"server {version}", folder)


def tasks(url: str, out: Path) -> tuple[Check, ...]:
    """The scenarios of the tasks extension, against *url*."""
    folder = _empty(out / "tasks")

    def run(scenario: str) -> bool:
        return suite.invoke("server", "--url", url, "--scenario", scenario, "-o", str(folder))

    _all_of(run, TASKS)
    return read(f"tasks {MODERN}", folder)


def client(versions: Iterable[str], out: Path, through: str | None = None) -> tuple[Check, ...]:
    """The client scenarios with the reference client, and with the proxy *through* before them."""
    return tuple(check for version in versions for check in _client(version, out, through))


def _client(version: str, out: Path, through: str | None) -> tuple[Check, ...]:
    part, folder = f"client {version}", _empty(out / f"client-{version}")
    proxy = ["--through", through] if through else []
    command = shlex.join([sys.executable, "-m", "tests.conformance.reference_client", *proxy])

    def run(scenario: str) -> Check:
        well = suite.invoke(
            *("client", "--command", command, "--scenario", scenario),
            *("--spec-version", version, "-o", str(folder)),
        )
        found = [check for check in read(part, folder) if check.scenario == scenario]
        # the suite ends badly for a failed check, too: that one is counted already
        return client_end(part, scenario, well=well or totals(found).failed > 0)

    ends = _all_of(run, CLIENT[version])
    return (*read(part, folder), *ends)


def _empty(folder: Path) -> Path:
    """*folder*, without the results of an earlier run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _all_of(run: Callable[[str], T], scenarios: Sequence[str]) -> list[T]:
    suite.install()  # before the threads, so that one alone installs
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(run, scenarios))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", choices=("server", "tasks", "client"), default="server")
    parser.add_argument("--url", help="of a server or proxy that runs already")
    parser.add_argument("--through", metavar="COMMAND", help="the proxy to start")
    parser.add_argument("--spec-version", action="append", choices=VERSIONS, dest="versions")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="keep the suite's files")
    parser.add_argument("--expect", action="store_true", help="write what passes to expected/")
    options = parser.parse_args(argv)
    if options.url and (options.through or options.part == "client"):
        parser.error("--url is of something that runs: not with --through, nor for clients")
    return options


def _run(options: argparse.Namespace, out: Path) -> tuple[Check, ...]:
    versions = options.versions or VERSIONS
    if options.part == "client":
        return client(versions, out, options.through)
    with nullcontext(options.url) if options.url else fixture(options.through) as url:
        return tasks(url, out) if options.part == "tasks" else server(url, versions, out)


def main(argv: list[str] | None = None) -> int:
    """Runs what the command line asks for; 1 if anything expected is lost."""
    options = _parse(argv)
    expected = EXPECTED / f"{options.part}.json"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        checks = _run(options, options.output or Path(temporary))
    print(*lines(checks), f"took {time.monotonic() - began:.1f} s", sep="\n")
    if options.expect:
        save(checks, expected)
        return 0
    versions = {MODERN} if options.part == "tasks" else set(options.versions or VERSIONS)
    wanted = [c for c in load(expected) if c.part in {f"{options.part} {v}" for v in versions}]
    lost = compare(wanted, checks)
    print(f"lost: {len(lost)} of {len(wanted)} expected checks", *lost, sep="\n  ")
    return 1 if lost else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except suite.SuiteError as problem:
        sys.exit(f"conformance: {problem}")
