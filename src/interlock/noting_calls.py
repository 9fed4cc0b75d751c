"""What is recorded of a call itself: the request as `policies.corpus` reads it, without secrets.

Pure. A record is kept for long and leaves the house: what policy hides from logs or approvers,
what its detectors find, and what is a credential by its name or by its form never gets in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from .core.actions import Body, ToolCall
from .core.masking import HIDDEN, Masks, masked, without_secrets
from .core.redaction import MASK, SECRET_HEADERS, mask_secret
from .core.rules import Redact

LARGEST = 32 * 1024  #: bytes of arguments, as JSON, that a record has of one call
_LONG_TEXT, _LONG_LIST = 1000, 50  #: of what is larger: characters and items that are kept
_TELLING = 4  #: characters; a shorter credential occurs by chance
_MOST_CREDENTIALS = 200  #: of one call, that are looked for in texts
_PATH_SAFE = "/!$&'()*+,=:@-._~"
_HIDDEN_PATH = "/" + quote(HIDDEN)
_JSON_TYPE = "application/json"
_TOKENS = ("bearer_token",)
_CREDENTIALS = frozenset(
    "access_token accesstoken apikey api_key auth_token authorization bearer_token client_secret"
    " clientsecret credentials id_token passphrase passwd password private_key privatekey"
    " refresh_token refreshtoken secret secret_key secretkey session_token sig signature token"
    " x_amz_credential x_amz_security_token x_amz_signature x_goog_signature".split()
)
_SUSPECT = re.compile(rb"bearer|eyj|ilk_|token|secret|key|pass|auth|credential|sig|\\u|%")


class Cleaner:
    """Takes secrets out of what is recorded of one call; `masked` says that it found some.

    *arguments* and *sources*: as policy read them. *redacted*: arguments that approvers do not
    see until they ask for it.
    """

    __slots__ = ("_credentials", "_detectors", "_headers", "_masks", "_plain", "masked")

    def __init__(
        self,
        call: ToolCall,
        arguments: Mapping[str, Any],
        sources: Mapping[str, str],
        redact: Redact,
        redacted: Iterable[str],
    ) -> None:
        hidden = dict.fromkeys(redacted)
        self._headers = SECRET_HEADERS
        if redact.logs:
            hidden |= dict.fromkeys(_names(redact.logs, "args."))
            self._headers |= frozenset(_names(redact.logs, "request.headers."))
        self._masks = Masks(arguments, sources, hidden)
        self._detectors = tuple(sorted(redact.detectors - {"bearer_token"}))
        self._plain = not (self._masks or self._detectors or _suspicious(call))
        self._credentials: set[str] = set()  #: as they were found by name, and as JSON writes them
        self.masked = False

    def text(self, text: str) -> str:
        """Return *text* without what is hidden, and without tokens."""
        if not text:
            return text
        shown = self._masks.text(text) if self._masks else text
        if self._detectors:
            shown = without_secrets(shown, self._detectors)
        low = shown.lower()
        if "bearer" in low or "eyj" in low or "ilk_" in low:  # else no text holds a token
            shown = without_secrets(shown, _TOKENS)
        if self._credentials:  # what is wrong with arguments quotes them
            shown = self._without_credentials(shown)
        if shown != text:
            self.masked = True
        return shown

    def _without_credentials(self, text: str) -> str:
        if len(self._credentials) > _MOST_CREDENTIALS:
            return HIDDEN
        for each in sorted(self._credentials, key=len, reverse=True):
            text = text.replace(each, MASK)
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON value with every text in it as `text` says, and no credential by name."""
        if self._plain:
            return value
        if self._masks:
            shown = self._masks.value(value)
            self.masked |= shown != value
            value = shown
        return self._value(value)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): self._member(name, each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(each) for each in value]
        if self._detectors and type(value) is int and self.text(str(value)) != str(value):
            return HIDDEN  # a card's number need not be a text
        return value

    def _member(self, name: str, value: Any) -> Any:
        return self._credential(value) if is_credential(name) else self._value(value)

    def _credential(self, value: Any) -> Any:
        """Return what a field holds that is named as a credential: its form, and no leaf of it."""
        if isinstance(value, Mapping):
            return {self.text(name): self._credential(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._credential(each) for each in value]
        if not value or isinstance(value, bool):
            return value
        self.masked = True
        said = str(value)
        if len(said) >= _TELLING and len(self._credentials) <= _MOST_CREDENTIALS:
            self._credentials |= {said, json.dumps(said)[1:-1]}
        return MASK

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments by name, hidden ones as what stands for them."""
        if self._plain:
            return dict(values)
        shown = {}
        for name, value in values.items():
            if name in self._masks:
                self.masked = True
                shown[name] = masked(value)
            elif is_credential(name):
                shown[name] = self._credential(value)
            else:
                shown[self.text(name)] = self.value(value)
        return shown

    def target(self, call: ToolCall) -> tuple[str, list[tuple[str, str]]]:
        """Return path and query of *call*: the path as it was sent, or written anew."""
        if self._plain:
            return call.target.partition("?")[0], list(call.query)
        if self._masks and self._masks.target(call.target) is None:
            self.masked = True
            return _HIDDEN_PATH, []
        path = self.text(call.path)
        raw = call.target.partition("?")[0] if path == call.path else quote(path, safe=_PATH_SAFE)
        return raw, [(name, self._field(name, value)) for name, value in call.query]

    def _field(self, name: str, value: str) -> str:
        return str(self.arguments({name: value}).popitem()[1])

    def form(self, fields: Mapping[str, str]) -> dict[str, str]:
        return {name: str(value) for name, value in self.arguments(fields).items()}

    def body(self, body: bytes) -> str:
        """Return bytes that policy cannot look into as text; none where they cannot be shown."""
        kept = self._masks.body(body) if self._masks else body
        if kept is None:
            self.masked = True
            return HIDDEN
        try:
            return self.text(kept.decode())
        except UnicodeDecodeError:
            self.masked = True
            return "?" * len(body)

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return headers by name; of one that repeats, two spellings, which are no one value.

        That a credential is not shown does not make a record a `masked` one.
        """
        shown: dict[str, str] = {}
        for name, value in headers:
            if name.lower() in self._headers:
                value = mask_secret(value)
            else:
                value = self.text(
                    value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                )
            if name in shown:
                name = name.swapcase()
            shown[name] = value
        return shown


def _names(paths: Iterable[str], prefix: str) -> list[str]:
    found = [each.removeprefix(prefix) for each in paths if each.startswith(prefix)]
    return [each.partition(".")[0] if prefix == "args." else each.lower() for each in found]


def is_credential(name: str) -> bool:
    """Whether a field of this *name* holds a credential, whatever policy says."""
    return name.lower().replace("-", "_") in _CREDENTIALS


def _suspicious(call: ToolCall) -> bool:
    """Whether anything in *call* may be a credential: a quick look that is never wrongly no."""
    said = call.body.lower() + call.target.lower().encode("utf-8", "replace")
    return _SUSPECT.search(said) is not None


def entry_of(call: ToolCall, cleaner: Cleaner) -> dict[str, Any]:
    """Return *call* as a suite or a corpus writes it (`policies.suite_document.CallEntry`).

    Where nothing is masked, `policies.suite_calls.make_call` makes a call of it that is judged
    the same; of an MCP call all but the size of its message and whether its definition was
    accepted.
    """
    if call.mcp is not None:
        return _of_mcp(call, cleaner)
    path, query = cleaner.target(call)
    entry: dict[str, Any] = {"upstream": call.upstream, "method": call.method, "path": path}
    by_name = dict(query)
    if len(by_name) == len(query):
        entry |= {"query": by_name} if by_name else {}
    else:
        entry["path"] = f"{path}?{urlencode(query)}"
    headers = cleaner.headers(call.headers)
    entry |= {"headers": headers} if headers else {}
    entry |= {"service": call.service} if call.service else {}
    entry |= {"region": call.region} if call.region else {}
    return entry | _body(call, cleaner)


def _of_mcp(call: ToolCall, cleaner: Cleaner) -> dict[str, Any]:
    tool = call.mcp
    assert tool is not None  # noqa: S101 (for the type checker: asked by the caller)
    named: dict[str, Any] = {"server": call.upstream, "tool": tool.name}
    named |= {"definition": tool.definition} if tool.definition else {}
    named |= {"annotations": dict(tool.annotations)} if tool.annotations else {}
    values = call.content.value
    if not call.body or not isinstance(values, Mapping):
        cleaner.masked |= not call.body
        return {"mcp": named}
    return {"mcp": named, "args": fitting(cleaner.arguments(values), len(call.body), cleaner)}


def _body(call: ToolCall, cleaner: Cleaner) -> dict[str, Any]:
    kind, media = call.content.kind, call.content.media_type
    typed = {"content_type": media} if media else {}
    if kind is Body.NONE:
        return typed
    if not call.body:  # it was not kept
        cleaner.masked = True
        return typed
    if kind is Body.OPAQUE:
        text = cleaner.body(call.body[: LARGEST + 1])
        return {"body": _short(text, cleaner)} | _opaque(media)
    before, value = cleaner.masked, call.content.value
    if kind is Body.FORM:
        shown: Any = cleaner.form(value)
        name, written = "form", urlencode(shown)
        typed = {}
    else:
        shown = cleaner.arguments(value) if isinstance(value, Mapping) else _bare(value, cleaner)
        name, written = "json", ""
        typed = {} if media == _JSON_TYPE else typed
    if cleaner.masked != before or shown != value or len(call.body) > LARGEST:
        return {name: fitting(shown, len(call.body), cleaner)} | typed
    if len(written or json.dumps(shown)) == len(call.body):
        return {name: shown} | typed
    # its size is part of what policy sees: written as it came
    return {"body": call.body.decode(), "content_type": media}


def _bare(value: Any, cleaner: Cleaner) -> Any:
    """Return a JSON body that is no object: policy reads it as the argument `body`."""
    return cleaner.arguments({"body": value})["body"]


def _opaque(media: str) -> dict[str, str]:
    """Return a type that is read as opaque again: what was encoded says that it is JSON."""
    read = media.endswith("json") or media == "application/x-www-form-urlencoded"
    return {} if read or not media else {"content_type": media}


def _short(text: str, cleaner: Cleaner) -> str:
    if len(text) <= LARGEST:
        return text
    cleaner.masked = True
    return text[:LARGEST]


def fitting(value: Any, size: int, cleaner: Cleaner) -> Any:
    """Return *value*, of about *size* bytes, cut where it is too large for a record."""
    if size <= LARGEST // 2 or len(json.dumps(value)) <= LARGEST:
        return value
    cleaner.masked = True
    cut = _cut(value)
    if len(json.dumps(cut)) <= LARGEST:
        return cut
    return {} if isinstance(value, Mapping) else HIDDEN


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else value[:_LONG_TEXT] + HIDDEN
    if isinstance(value, Mapping):
        return {name: _cut(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(each) for each in value[:_LONG_LIST]]
    return value
