"""Strict readings of a call's bytes: target, query, form and JSON.

Policy judges a reading; the tool makes its own reading of the same bytes. Whatever two
careful readers could understand differently is refused here, never repaired. The bytes
themselves are never changed. Sources: RFC 3986, RFC 8259, the WHATWG form encoding, and the
parser differentials of CVE-2019-9901 (paths) and CVE-2026-27896 (keys that differ in case).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

from .actions import Body, Content
from .errors import MalformedCall
from .marks import MOST, piled_up

MAX_DEPTH = 32  #: nesting of JSON arrays and objects
MAX_FIELDS = 1000  #: names in a query or a form
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

_PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,=:@%/;]*", re.ASCII)
# Square brackets are not RFC 3986, but every URL Standard client sends them raw (`filter[a]=1`).
_QUERY = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,=:@%/?\[\];]*", re.ASCII)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_HIDDEN = re.compile(r"%(2f|5c|00|2e)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ESSENCE = re.compile(rf"{_WORD}/{_WORD}", re.ASCII)
_PARAMETER = re.compile(rf';\s*({_WORD})=("[^"\\]*"|{_WORD})\s*', re.ASCII)
_JSON_TYPES = frozenset({"application/json", "text/json", "application/json-rpc"})
_AMZ_JSON = re.compile(r"application/x-amz-json-1\.[0-9]", re.ASCII)
_FORM_TYPE = "application/x-www-form-urlencoded"


def parse_target(raw: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the decoded path and the decoded query pairs of an origin-form target.

    Raises:
        MalformedCall: the target is not canonical: another reader could see another path.
    """
    if not raw.startswith("/"):
        raise MalformedCall("The target must start with `/` (origin-form, RFC 9112 3.2.1).")
    if "#" in raw:
        raise MalformedCall("The target holds a fragment (`#`); encode it as %23 or leave it out.")
    path, mark, query = raw.partition("?")
    if mark and not query:
        raise MalformedCall("The target ends in `?` without a query; leave the `?` out.")
    return _read_path(path), read_fields(query, "query")


def _read_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise MalformedCall(
            "The path holds a character that must be percent-encoded "
            "(a control character, a space, `\\` or one outside ASCII, for example)."
        )
    if "//" in path:
        raise MalformedCall("The path holds an empty segment (`//`).")
    if ";" in path:
        raise MalformedCall("The path holds `;`, which servers read differently; write %3B.")
    if found := _HIDDEN.search(path):
        raise MalformedCall(
            f"The path holds `{found.group()}`: an encoded separator, dot or NUL is ambiguous."
        )
    decoded = _percent_decode(path, "path")
    for segment in decoded.split("/"):
        _check_segment(segment)
    return decoded


def _check_segment(segment: str) -> None:
    """Refuse a segment that some server, decoding once more, would read as a path step."""
    if any(unicodedata.category(character) == "Cc" for character in segment):
        raise MalformedCall("The path holds an encoded control character.")
    seen = segment
    while True:
        _check_marks(seen)
        seen = unicodedata.normalize("NFKC", seen)
        if seen.partition(";")[0] in {".", ".."}:
            raise MalformedCall("The path holds a `.` or `..` segment.")
        if "/" in seen or "\\" in seen or "\0" in seen:
            raise MalformedCall("The path holds a hidden separator (encoded twice or look-alike).")
        again = _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), seen)
        if again == seen:
            return
        seen = again


def read_fields(text: str, where: str) -> tuple[tuple[str, str], ...]:
    """Return the name and value pairs of a query or form: `&` separates, `+` is a space.

    Repeated names are kept, in order. A name without `=` has the value "".

    Raises:
        MalformedCall: bad encoding, `;`, an empty name, names equal but for their case or
            compatibility form, `_method`, or more than MAX_FIELDS names.
    """
    _check_field_characters(text, where)
    pieces = [piece for piece in text.split("&") if piece]
    if len(pieces) > MAX_FIELDS:
        raise MalformedCall(f"The {where} holds more than {MAX_FIELDS} fields.")
    pairs = tuple(_read_field(piece, where) for piece in pieces)
    names = {name for name, _ in pairs}
    if "" in names:
        raise MalformedCall(f"The {where} holds a field without a name.")
    _check_names(names, where)
    if "_method" in {fold(name) for name in names}:
        raise MalformedCall(f"`_method` in the {where} would override the method; use the method.")
    return pairs


def _check_field_characters(text: str, where: str) -> None:
    if where == "query" and not _QUERY.fullmatch(text):
        raise MalformedCall("The query holds a character that must be percent-encoded.")
    if ";" in text:
        raise MalformedCall(
            f"The {where} holds `;`, which some servers read as a separator; write %3B."
        )
    if _CONTROL.search(text):
        raise MalformedCall(f"The {where} holds a raw control character; percent-encode it.")
    if "%00" in text:
        raise MalformedCall(f"The {where} holds an encoded NUL.")


def _read_field(piece: str, where: str) -> tuple[str, str]:
    name, _, value = piece.replace("+", " ").partition("=")
    return _percent_decode(name, where), _percent_decode(value, where)


def _percent_decode(text: str, where: str) -> str:
    if "%" not in text:
        return text
    if found := _BAD_PERCENT.search(text):
        bad = text[found.start() : found.start() + 3]
        raise MalformedCall(f"The {where} holds `{bad}`, which is not a percent-encoded byte.")
    raw = _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), text) if text.isascii() else None
    data = raw.encode("latin-1") if raw is not None else _decode_bytes(text.encode())
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedCall(f"The {where} is not UTF-8 once it is percent-decoded.") from None


def _decode_bytes(data: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), data)


def fold(name: str) -> str:
    """Return *name* as the laxest reader would compare it: NFKC, then case folding."""
    if name.isascii():
        return name.lower()
    _check_marks(name)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_marks(text: str) -> None:
    if piled_up(text):
        raise MalformedCall(
            f"A name or a path holds more than {MOST} combining marks in a row, which no writing"
            " needs; send it without."
        )


def _check_names(names: Iterable[str], where: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(fold(name), name)
        if other != name:
            raise MalformedCall(
                f"The {where} holds the names {json.dumps(other)} and {json.dumps(name)}, "
                "which some readers take for one; send only one of them."
            )


def parse_content(media_type: str, body: bytes, *, encoding: str = "") -> Content:
    """Return the reading of *body* under its Content-Type and Content-Encoding.

    JSON and forms are read strictly. Everything else, and every encoded body, is OPAQUE:
    bytes that policy cannot look into. An empty body is NONE.

    Raises:
        MalformedCall: the body says that it is JSON or a form and is not a strict one.
    """
    essence, charsets = _media_type(media_type)
    if not body:
        return Content(media_type=essence)
    if encoding.strip().lower() not in {"", "identity"}:
        return Content(kind=Body.OPAQUE, media_type=essence)
    if _is_json(essence):
        text = _utf8(body, charsets, "JSON body")
        return Content(kind=Body.JSON, media_type=essence, value=read_json(text))
    if essence == _FORM_TYPE:
        text = _utf8(body, charsets, "form")
        return Content(kind=Body.FORM, media_type=essence, value=_read_form(text))
    return Content(kind=Body.OPAQUE, media_type=essence)


def _media_type(value: str) -> tuple[str, tuple[str, ...]]:
    """Return the lower-case `type/subtype` and every charset; ("", ()) where it is not one."""
    essence = _ESSENCE.match(value.strip())
    if essence is None:
        return "", ()
    rest = value.strip()[essence.end() :].lstrip()
    charsets: list[str] = []
    while rest:
        parameter = _PARAMETER.match(rest)
        if parameter is None:
            # Not readable as parameters: JSON and forms are then refused, the rest is opaque.
            return essence.group().lower(), (rest,) if rest != ";" else tuple(charsets)
        if parameter.group(1).lower() == "charset":
            charsets.append(parameter.group(2).strip('"').lower())
        rest = rest[parameter.end() :]
    return essence.group().lower(), tuple(charsets)


def _is_json(essence: str) -> bool:
    return essence in _JSON_TYPES or essence.endswith("+json") or bool(_AMZ_JSON.fullmatch(essence))


def _utf8(body: bytes, charsets: tuple[str, ...], what: str) -> str:
    if charsets not in {(), ("utf-8",), ("utf8",)}:
        raise MalformedCall(
            f"The {what} declares the parameters {json.dumps('; '.join(charsets))}; "
            "only one charset is taken, and it must be utf-8."
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedCall(f"The {what} is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise MalformedCall(f"The {what} starts with a byte order mark; leave it out.")
    return text


def _read_form(text: str) -> dict[str, str]:
    pairs = read_fields(text, "form")
    form = dict(pairs)
    if len(form) != len(pairs):
        raise MalformedCall("The form holds a name more than once; send each name once.")
    return form


def read_json(text: str) -> Any:
    """Return the value of a strict JSON text.

    Integers must fit in 64 bits (signed), other numbers in a double; no duplicate keys, none
    that differ only in case or compatibility form, no lone surrogates, at most MAX_DEPTH deep.

    Raises:
        MalformedCall: the text is not JSON, or readers could differ about it.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except RecursionError:
        raise MalformedCall(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise MalformedCall(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    if text.count("[") + text.count("{") > MAX_DEPTH or "\\u" in text:
        _walk(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise MalformedCall(f"The JSON holds the key {json.dumps(twice)} more than once.")
    _check_names(value, "JSON")
    return value


def _integer(digits: str) -> int:
    if len(digits) <= 20:
        number = int(digits)
        if _INT_MIN <= number <= _INT_MAX:
            return number
    raise MalformedCall("The JSON holds an integer that does not fit in 64 bits; send it as text.")


def _float(digits: str) -> float:
    number = float(digits)
    mantissa = re.split("[eE]", digits, maxsplit=1)[0]
    if number in (float("inf"), float("-inf")):
        raise MalformedCall("The JSON holds a number too large for a double.")
    if number == 0.0 and mantissa.strip("-0."):
        raise MalformedCall("The JSON holds a number too small for a double.")
    return number


def _constant(name: str) -> NoReturn:
    raise MalformedCall(f"The JSON holds {name}, which is not JSON.")


def _walk(value: Any) -> None:
    """Check depth and lone surrogates without recursing."""
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            _check_text(item)
            continue
        if not isinstance(item, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise MalformedCall(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        if isinstance(item, dict):
            for key in item:
                _check_text(key)
        children = item.values() if isinstance(item, dict) else item
        stack.extend((child, depth + 1) for child in children)


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedCall("The JSON holds half of a surrogate pair, which is not text.")
