"""Records of decided calls: made of an action, masked, and sealed for the store's feed.

A record carries a MAC with a key that is not in the store, so that nobody who can only write
there teaches anything. It is made of what this process did, or of what carries a seal in the
store; what else the store holds is in none. People are pseudonyms: the same person, the same name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .core.actions import Action, Body, Review, State, ToolCall, Verdict
from .core.clearance import Seals
from .core.decisions import Decision, Level
from .core.evaluate import prepare
from .core.facts import NO_FACTS
from .core.lifecycle import FINAL
from .core.masking import HIDDEN
from .core.records import Audited, DecidedCall, Reported, Said
from .core.reporting import heard
from .core.rules import PolicySet
from .mcp_ports import Definitions
from .noting_calls import Cleaner, entry_of, fitting
from .noting_entries import decode as decode
from .noting_entries import encode as encode
from .noting_facts import Pseudonym, anonymous, pack_facts, unguessable
from .noting_facts import facts_from as facts_from
from .noting_schemas import schema_of
from .noting_shares import Shares

LARGEST_SCHEMA = 64 * 1024  #: bytes of JSON; larger ones are not kept
_WORDS, _TASK = 4000, 16_384  #: characters of texts that are kept
_SCHEMAS = 4096  #: whose hashes are remembered


def to_note(action: Action) -> bool:
    """Whether a record is made of *action* as it stands: practice calls teach nothing."""
    return (action.state in FINAL or action.state is State.UNKNOWN) and not action.decoy_of


# making them --------------------------------------------------------------------------------


def record_of(
    action: Action,
    policy: PolicySet,
    pseudonym: Pseudonym,
    schema: str = "",
    told: DecidedCall | None = None,
) -> DecidedCall:
    """Return the record of *action* as it stands. Pure.

    *policy*: what it hides is masked. *schema*: hash of the arguments' schema. *told*: an earlier
    record, whose audit and reports the new one has too.
    """
    decision, request = action.judged, action.original or action.call
    values, sources = _arguments(request, action, policy)
    hidden = action.decision.redacted if action.decision is not None else ()
    cleaner = Cleaner(request, values, sources, policy.redact, hidden)
    final = _final(action, policy)
    final_cleaner = cleaner if final is None else final.cleaner

    def clean(text: str, most: int = _WORDS) -> str:
        return final_cleaner.text(cleaner.text(text))[:most]

    # what was known of the past is of the call that was judged
    judged, known = (request, cleaner) if action.held else (action.call, final_cleaner)
    context, size = request.context, len(request.body)
    entry = entry_of(request, cleaner)
    shown = fitting(cleaner.arguments(values), size, cleaner)
    target = _target(decision, values, policy)
    said = {} if decision is None else _decided(decision, known, clean, pseudonym)
    made = DecidedCall(
        id=action.id,
        version=action.version,
        state=action.state.value,
        created=action.created,
        ended=max(action.changed, action.created),
        agent=request.agent.id,
        owner=request.agent.owner,
        upstream=request.upstream,
        tool=_tool(action),
        schema=schema,
        request=entry,
        final=None if final is None else final.entry,
        arguments=shown,
        final_arguments={} if final is None else final.arguments,
        edited=() if final is None else changed(values, final.values),
        size=size,
        target=None if target is None else fitting(cleaner.arguments(target), size, cleaner),
        session=context.session,
        reason=clean(context.reason),
        task=clean(context.task, _TASK),
        confidence=context.confidence,
        reviews=tuple(_said(each, clean, pseudonym) for each in action.reviews),
        cause=anonymous(clean(action.cause), action, pseudonym),
        status=_status(action),
        level=Level.DENY.word if decision is None else decision.level.word,
        drawn=action.drawn,
        **said,
    )
    masked = cleaner.masked or final_cleaner.masked
    if masked:
        facts = unguessable(made.facts, prepare(judged, policy))
        made = replace(made, masked=True, facts=facts)
    return made if told is None else telling(made, told)


def words_of(action: Action, policy: PolicySet, text: str) -> str:
    """Return what somebody says of *action* afterwards, masked as in its record. Pure.

    Where a hidden argument is not at hand, as the body was not kept, nothing of it is shown.
    """
    if not text:
        return text
    request = action.original or action.call
    values, sources = _arguments(request, action, policy)
    redacted = action.decision.redacted if action.decision is not None else ()
    hides = redacted or any(each.startswith("args.") for each in policy.redact.logs)
    if hides and not request.body and request.content.kind is not Body.NONE:
        return HIDDEN
    cleaner = Cleaner(request, values, sources, policy.redact, redacted)
    entry_of(request, cleaner)  # finds what holds a credential by its name
    cleaner.arguments(values)
    final = _final(action, policy)
    shown = cleaner.text(text)
    return shown if final is None else final.cleaner.text(shown)


def telling(record: DecidedCall, told: DecidedCall) -> DecidedCall:
    """Return *record* with the audit and the reports of *told*, an earlier one of this call."""
    return replace(record, told=told.told, audit=told.audit, reports=told.reports)


def with_audit(record: DecidedCall, audit: Audited) -> DecidedCall:
    return replace(record, told=record.told + 1, audit=audit)


def with_report(record: DecidedCall, report: Reported) -> DecidedCall | None:
    """Return *record* with one more report; None: there is no room for it, see `reporting`."""
    reports = heard(record.reports, report)
    return None if reports is None else replace(record, told=record.told + 1, reports=reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Final:
    """What a person made of a call."""

    values: Mapping[str, Any]
    arguments: Mapping[str, Any]
    entry: Mapping[str, Any]
    cleaner: Cleaner


def _final(action: Action, policy: PolicySet) -> _Final | None:
    call, decision = action.call, action.decision
    if action.original is None or decision is None:
        return None
    values = decision.arguments
    cleaner = Cleaner(call, values, decision.sources, policy.redact, decision.redacted)
    arguments = fitting(cleaner.arguments(values), len(call.body), cleaner)
    return _Final(
        values=values, arguments=arguments, entry=entry_of(call, cleaner), cleaner=cleaner
    )


def _arguments(
    request: ToolCall, action: Action, policy: PolicySet
) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the arguments of what the agent asked for; where they are not at hand, read again."""
    decision = action.judged if action.held or action.original is None else None
    if decision is not None and decision.arguments:
        return decision.arguments, decision.sources
    read = prepare(request, policy).arguments
    return read.values, read.sources


def _target(
    decision: Decision | None, values: Mapping[str, Any], policy: PolicySet
) -> Mapping[str, Any] | None:
    """Return the arguments that the tool declares as its target; None where it declares none."""
    tool = policy.tools.get(decision.tool) if decision is not None else None
    if tool is None or tool.target is None:
        return None
    return {name: values.get(name) for name in tool.target}


def _decided(
    decision: Decision,
    cleaner: Cleaner,
    clean: Callable[[str], str],
    pseudonym: Pseudonym,
) -> dict[str, Any]:
    facts, reviewed = decision.facts, decision.level >= Level.APPROVE
    return {
        "description": decision.description,
        "calibrated": facts.calibrated,
        "would_be": "" if decision.would_be is None else decision.would_be.word,
        "stake": decision.stake.word,
        "reversibility": decision.reversibility.word,
        "facet": decision.facet,
        "rules": tuple([each.id for each in decision.rules]),
        "signals": decision.signals,
        "exceptions": decision.exceptions,
        "limits": decision.limits,
        "grant": decision.grant,
        "why": decision.reason,
        "policy": f"{decision.policy.name}@{decision.policy.version}",
        "policy_sha256": decision.policy.sha256,
        "facts": {} if facts is NO_FACTS else pack_facts(facts, cleaner, clean, pseudonym),
        "quorum": decision.quorum,
        "share": 0.0 if reviewed else decision.audit_share,
    }


def _tool(action: Action) -> str:
    named = action.judged.tool if action.judged is not None else ""
    return named or (action.call.mcp.name if action.call.mcp is not None else "")


def _status(action: Action) -> int:
    answered = action.state is State.ANSWERED and action.answer is not None
    return action.answer.status if answered and action.answer is not None else 0


def _said(review: Review, clean: Callable[[str], str], pseudonym: Pseudonym) -> Said:
    return Said(
        who=pseudonym(review.reviewer.id),
        verdict=review.verdict.value,
        at=review.at,
        looked_ms=review.looked_ms,
        reason_code=review.reason_code,
        message=clean(review.message),
    )


def changed(
    before: Mapping[str, Any], after: Mapping[str, Any], root: str = "args"
) -> tuple[str, ...]:
    """Return the paths whose values differ, such as `args.amount`, in order; at most 100."""
    found: list[str] = []
    for name in dict.fromkeys((*before, *after)):
        one, other, path = before.get(name), after.get(name), f"{root}.{name}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += changed(one, other, path)
        elif (name in before) != (name in after) or one != other or type(one) is not type(other):
            found.append(path)
    return tuple(found[:100])


# with what they need ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is written with a transition: a sealed record, and the schema that it names."""

    entry: bytes
    schema: str = ""  #: its hash
    document: bytes = b""  #: JSON


class Noting:
    """Makes records of actions, and reads them. *seal_key*: the gate's, 32 bytes."""

    def __init__(
        self, seal_key: bytes, policy: Callable[[], PolicySet], definitions: Definitions
    ) -> None:
        self._seals = Seals(seal_key)
        self._key = hmac.digest(seal_key, b"interlock records v1", "sha256")
        self.answer_key = hmac.digest(seal_key, b"interlock answers v1", "sha256")
        self._names = hmac.digest(seal_key, b"interlock pseudonyms v1", "sha256")
        self._policy = policy
        self._definitions = definitions
        self._schemas: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._shares = Shares()

    def pseudonym(self, person: str) -> str:
        """Return what a person is called in records: `r-` and 12 hex digits."""
        said = person.encode("utf-8", "surrogatepass")
        return "r-" + hmac.digest(self._names, said, "sha256").hex()[:12]

    def record(self, action: Action) -> DecidedCall:
        """Return the record of *action* as it stands, with what was told of it."""
        return self._record(action, self._schema(action)[0])

    def _record(self, action: Action, schema: str) -> DecidedCall:
        return record_of(action, self._policy(), self.pseudonym, schema, self.told(action))

    def note(self, action: Action) -> Note:
        """Return what is written to the feed with the transition to *action*."""
        schema, document = self._schema(action)
        record = self._record(action, schema)
        entry = encode(record, self._key)
        kept = self._shares.fitting(record, len(entry))
        if kept is not record:
            entry = encode(kept, self._key)
        return Note(entry=entry, schema=schema, document=document)

    def words(self, action: Action, text: str) -> str:
        """Return *text* about *action* as records have it: what is told of calls goes through here.

        A call that others changed is masked as it is: who could do that reads the store anyway.
        """
        return words_of(self.vouched(action) or action, self._policy(), text)

    def within_share(self, action: Action, text: str, at: int) -> str:
        """Return what the agent of *action* told of it at *at* (ms), as its share has room for."""
        return self._shares.words(action.call.agent.id, at, text)

    def vouched(self, action: Action) -> Action | None:
        """Return what of a call read from the store is ours; None: others changed it."""
        return self._seals.vouched(action)

    def lapsed(self, action: Action) -> DecidedCall | None:
        """Return the record of a call that the store ended by itself; None: others changed it.

        It has version 0: that it ended so is the store's word, and every other record counts more.
        """
        ours = self.vouched(action)
        ended = action.state in (State.EXPIRED, State.UNKNOWN)
        if ours is None or not ended or action.decoy_of:
            return None
        if any(each.verdict not in (Verdict.APPROVE, Verdict.EDIT) for each in ours.reviews):
            return None  # that would have ended it
        reviews = tuple(replace(each, message="", reason_code="") for each in ours.reviews)
        plain = replace(ours, version=0, reviews=reviews, cause="", answer=None, told=b"")
        return self.record(plain)

    def told(self, action: Action) -> DecidedCall | None:
        """Return the record that has what was told of *action*; None: nothing, or it is forged."""
        if not action.told:
            return None
        try:
            record = self.decode(action.told)
        except ValueError:
            return None
        return record if record.id == action.id else None

    def encode(self, record: DecidedCall) -> bytes:
        return encode(record, self._key)

    def decode(self, entry: bytes) -> DecidedCall:
        """Return the record of an entry of the feed. Raises ValueError where it is forged."""
        return decode(entry, self._key)

    def _schema(self, action: Action) -> tuple[str, bytes]:
        """Return hash and JSON of the schema of the arguments; empty where there is none."""
        call, decision = action.call, action.judged
        if call.mcp is not None and call.mcp.definition:
            name = call.upstream + "\0" + call.mcp.name, call.mcp.definition
        elif decision is not None and decision.tool:
            name = decision.tool, decision.policy.sha256
        else:
            return "", b""
        known = self._schemas.get(name)
        if known is None:
            known = _hashed(self._document(action))
            if len(self._schemas) >= _SCHEMAS:
                self._schemas.clear()
            self._schemas[name] = known
        return known

    def _document(self, action: Action) -> Mapping[str, Any] | None:
        call, decision = action.call, action.judged
        if call.mcp is not None and call.mcp.definition:
            listed = self._definitions.current(call.upstream, call.mcp.name)
            if listed is not None and listed.hash == call.mcp.definition:
                schema = listed.document.get("inputSchema")
                return schema if isinstance(schema, Mapping) else None
        tool = self._policy().tools.get(decision.tool) if decision is not None else None
        return schema_of(tool) if tool is not None else None


def _hashed(schema: Mapping[str, Any] | None) -> tuple[str, bytes]:
    if not schema:
        return "", b""
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"), default=_plain_mapping)
    data = text.encode("utf-8", "replace")
    if len(data) > LARGEST_SCHEMA:
        return "", b""
    return hashlib.sha256(data).hexdigest(), data


def _plain_mapping(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is not JSON")
