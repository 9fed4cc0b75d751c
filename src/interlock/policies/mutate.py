"""Changes a policy a little, many times, and asks its suites whether they notice.

A mutant that every suite passes shows what nobody tests. Mutants that are no valid policy any
more, or that provably decide nothing differently, are not counted.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.errors import InvalidDocument, Problem
from ..core.patterns import Pattern
from ..core.rules import PolicySet
from .compile import compile_set
from .document import PolicyDocument
from .mutate_edits import mutants, mutated
from .mutate_maker import Mutant
from .mutate_proofs import equivalent
from .positions import Document, load_yaml, validated
from .problems import Source
from .suite import first_failure, policies_of, read_suite
from .suite_document import SuiteDocument

KILLED, SURVIVED, INVALID, EQUIVALENT = "killed", "survived", "invalid", "equivalent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a mutant; `by` is what noticed it, or why it does not count."""

    mutant: Mutant
    state: str  #: killed | survived | invalid | equivalent
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    suite: SuiteDocument
    document: Document
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """Policy files and the suites that name them, read once."""

    documents: dict[str, Document]
    suites: tuple[_Suite, ...]
    unchanged: dict[str, PolicySet] = field(default_factory=dict)  #: by suite, once compiled

    def mutants(self) -> list[Mutant]:
        """Return all mutants of all files."""
        return [each for document in self.documents.values() for each in mutants(document)]

    def run(self, mutant: Mutant) -> Outcome:
        """Ask the suites about *mutant*."""
        document = self.documents[mutant.file]
        try:
            changed = replace(document, data=mutated(document.data, mutant))
            policies = [(each, self._policy(each, changed)) for each in self._about(mutant)]
            for each, policy in policies:
                within = self._affected(mutant, policy)
                failure = first_failure(each.suite, each.document, policy, within)
                if failure is not None:
                    return Outcome(mutant=mutant, state=KILLED, by=str(failure.problem))
        except InvalidDocument as error:
            return Outcome(mutant=mutant, state=INVALID, by=str(error.problems[0]))
        return Outcome(mutant=mutant, state=SURVIVED)

    def proof(self, mutant: Mutant) -> str:
        """Return why *mutant* certainly decides as before, in every suite's policy, or nothing."""
        document = self.documents[mutant.file]
        proofs = [
            equivalent(mutant, document, self._unchanged(each)) for each in self._about(mutant)
        ]
        return proofs[0] if proofs and all(proofs) else ""

    def check(self) -> None:
        """Make sure that everything passes as it is.

        Raises:
            InvalidDocument: a policy is wrong, a suite fails, or a file has no suite.
        """
        problems: list[Problem] = []
        for each in self.suites:
            policy = self._unchanged(each)
            failure = first_failure(each.suite, each.document, policy)
            if failure is not None:
                message = (
                    f"{failure.problem.message} (the suites have to pass before mutants count)"
                )
                problems.append(replace(failure.problem, message=message))
        if problems:
            raise InvalidDocument(tuple(problems))

    def _affected(self, mutant: Mutant, policy: PolicySet) -> frozenset[str] | None:
        """Return the only tools that *mutant* can decide differently; None: any."""
        section, *rest = mutant.path
        if section not in ("tools", "rules", "limits", "exceptions"):
            return None
        entry = self.documents[mutant.file].data[section][rest[0]]
        if section == "tools":
            return frozenset([entry["id"]])
        named = [entry["tools"]] if isinstance(entry["tools"], str) else entry["tools"]
        patterns = [Pattern(text) for text in named]
        return frozenset(name for name in policy.tools if any(p.matches(name) for p in patterns))

    def _about(self, mutant: Mutant) -> Iterator[_Suite]:
        return (each for each in self.suites if mutant.file in each.files)

    def _unchanged(self, suite: _Suite) -> PolicySet:
        if suite.document.file not in self.unchanged:
            self.unchanged[suite.document.file] = self._policy(suite, None)
        return self.unchanged[suite.document.file]

    def _policy(self, suite: _Suite, changed: Document | None) -> PolicySet:
        sources = []
        for file in suite.files:
            document = self.documents[file]
            if changed is not None and changed.file == file:
                document = changed
            model = validated(document, PolicyDocument)
            sources.append(Source(raw=document.text.encode(), document=document, model=model))
        return compile_set(sources)


def laboratory(suites: Sequence[Path]) -> Laboratory:
    """Read *suites* and the policies that they name.

    Raises:
        InvalidDocument: with the problems of the first that is not valid.
    """
    documents: dict[str, Document] = {}
    read: list[_Suite] = []
    for file in suites:
        suite, document = read_suite(file)
        paths = policies_of(suite, file)
        for path in paths:
            if str(path) not in documents:
                documents[str(path)] = load_yaml(path.read_bytes(), str(path))
        read.append(_Suite(suite=suite, document=document, files=tuple(map(str, paths))))
    return Laboratory(documents=documents, suites=tuple(read))


Watch = Callable[[Outcome, int, int], bool]
"""Told of each outcome, how many are done and how many there are; False: stop now."""


def run_all(suites: Sequence[Path], watch: Watch, workers: int | None = None) -> list[Outcome]:
    """Run every mutant, in *workers* processes (as many as there are processors), in file order.

    Stops early where *watch* says so; what was not run is missing then.

    Raises:
        InvalidDocument: a policy or suite is not valid, or a suite fails as it is.
    """
    here = laboratory(suites)
    here.check()
    waiting: list[tuple[int, Mutant]] = []
    outcomes: dict[int, Outcome] = {}
    for index, mutant in enumerate(here.mutants()):
        proof = here.proof(mutant)
        if proof:
            outcomes[index] = Outcome(mutant=mutant, state=EQUIVALENT, by=proof)
        else:
            waiting.append((index, mutant))
    count = workers or os.cpu_count() or 1
    run = _one_by_one(here, waiting) if count == 1 else _in_a_pool(suites, waiting, count)
    for index, outcome in run:
        outcomes[index] = outcome
        if not watch(outcome, len(outcomes), len(outcomes) + len(waiting)):
            break
    return [outcomes[index] for index in sorted(outcomes)]


def _one_by_one(
    here: Laboratory, waiting: list[tuple[int, Mutant]]
) -> Iterator[tuple[int, Outcome]]:
    while waiting:
        index, mutant = waiting.pop(0)
        yield index, here.run(mutant)


_here: Laboratory | None = None  # of a worker process; set once, when it starts


def _start(suites: Sequence[Path]) -> None:
    global _here
    _here = laboratory(suites)


def _run_here(mutant: Mutant) -> Outcome:
    if _here is None:
        raise RuntimeError("this process was not started as a worker")
    return _here.run(mutant)


def _in_a_pool(
    suites: Sequence[Path], waiting: list[tuple[int, Mutant]], count: int
) -> Iterator[tuple[int, Outcome]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_start, initargs=(tuple(suites),))
    try:
        running: dict[Future[Outcome], int] = {}
        while waiting or running:
            while waiting and len(running) < 2 * count:
                index, mutant = waiting.pop(0)
                running[pool.submit(_run_here, mutant)] = index
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
