"""The words of `interlock.yaml` that are more than text: durations, sizes, addresses, secrets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)

from .core.errors import InvalidDocument, Problem
from .core.identity import person_id

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMG]i?)?B?")
_FACTOR = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
_FACTOR |= {"ki": 2**10, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,127}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade host content-length".split()
)
Keys = tuple[str | int, ...]
_INSTEAD = "write {from_env: NAME} or {from_file: path} instead of the secret itself"


class Node(BaseModel):
    """A section of the configuration: frozen, strict, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading a file depends on, besides the file.

    `plain`: paths that are not from a file. `partly`: only a part of the settings is used, so a
    secret that cannot be read is an error of who reveals it, and none is checked for its form.
    """

    base: Path
    env: Mapping[str, str] = field(repr=False)
    plain: frozenset[tuple[str, ...]] = frozenset()
    partly: bool = False


class Hidden:
    """A secret. Prints as `***` everywhere; `reveal` is the only way to it."""

    __slots__ = ("_value", "missing", "place")

    def __init__(self, value: str, place: str = "", *, missing: Problem | None = None) -> None:
        self._value = value
        self.place = place  #: where it came from, for people
        self.missing = missing  #: why there is none; None: there is

    def reveal(self) -> str:
        """Return the secret, for the one place that needs it.

        Raises:
            InvalidDocument: it could not be read, and nothing has needed it until now.
        """
        if self.missing is not None:
            raise InvalidDocument((self.missing,))
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens. Port 0: the system chooses."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def duration(value: Any) -> Any:
    """Read `4s`, `15m`, `1.5h`, `250ms` or `7d` as seconds."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a duration with its unit: 250ms, 4s, 15m, 1h or 7d")
    return float(found[1]) * _SECONDS[found[2]]


def size(value: Any) -> Any:
    """Read `8MiB`, `512KiB`, `1MB` or a number of bytes as bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a size with its unit: 512KiB or 8MiB")
    return int(float(found[1]) * _FACTOR[found[2] or ""])


def address(value: Any) -> Address:
    """Read `HOST:PORT`, with IPv6 hosts in brackets."""
    text = value if isinstance(value, str) else ""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not _is_host(bare, bracketed=bare != host) or not re.fullmatch(r"\d{1,5}", port):
        raise ValueError("write where to listen as HOST:PORT, such as 127.0.0.1:8080")
    if int(port) > 65_535:
        raise ValueError(f"port {port} is beyond 65535")
    return Address(bare, int(port))


def _is_host(host: str, *, bracketed: bool) -> bool:
    try:
        return (ipaddress.ip_address(host).version == 6) == bracketed
    except ValueError:
        return not bracketed and _HOST.fullmatch(host) is not None


def file_path(value: Any, info: ValidationInfo) -> Path:
    """Read a path; a relative one is relative to the configuration file."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("the path is empty")
    if not isinstance(value, str | Path):
        raise ValueError("write a path")
    base = info.context.base if isinstance(info.context, Surroundings) else Path.cwd()
    return (base / Path(value).expanduser()).absolute()


def web_url(value: Any) -> str:
    """Read an http(s) URL without user, query and fragment; the slash at its end is taken off."""
    if value == "":
        return ""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("write a URL that begins with http:// or https://")
    if parts.username or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("a URL here has no user, password, `?` or `#`; see `credentials`")
    return str(value).rstrip("/")


def endpoint_url(value: Any) -> str:
    """Read the URL of one endpoint, as it is: a slash at its end may matter."""
    web_url(value)
    return str(value)


def is_private(url: str) -> bool:
    """Whether the URL's host is plainly not a public address. Names are checked when resolved."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def secret(value: Any, info: ValidationInfo) -> Hidden:
    """Read a secret from where the file says that it is."""
    around = info.context
    if not isinstance(around, Surroundings) or not isinstance(value, dict) or len(value) != 1:
        raise ValueError(_INSTEAD)
    (how, where), *_ = value.items()
    if how not in ("from_env", "from_file") or not isinstance(where, str):
        raise ValueError(_INSTEAD)
    try:
        return _read(how, where, around)
    except ValueError as error:
        if not around.partly:
            raise
        problem = Problem(file="(a secret)", line=1, column=1, message=str(error))
        return Hidden("", missing=problem)


def _read(how: str, where: str, around: Surroundings) -> Hidden:
    if how == "from_env":
        found, place = around.env.get(where, ""), f"environment variable {where}"
    else:
        path = (around.base / Path(where).expanduser()).absolute()
        found, place = _contents(path), f"file {path}"
    if not found.strip():
        raise ValueError(f"{place} is empty or not set")
    return Hidden(found, place)


def checked(check: Callable[[Hidden], Hidden]) -> Callable[[Hidden, ValidationInfo], Hidden]:
    """Return *check* of a secret's form, made only where all of the settings are used."""

    def when_used(value: Hidden, info: ValidationInfo) -> Hidden:
        around = info.context
        partly = isinstance(around, Surroundings) and around.partly
        return value if partly else check(value)

    return when_used


def secrets_of(node: object, path: Keys = ()) -> Iterator[tuple[Keys, Hidden]]:
    """Yield every secret in *node*, and where it is, as the file's keys and indexes."""
    if isinstance(node, Hidden):
        yield path, node
    elif isinstance(node, dict):
        for name, each in node.items():
            yield from secrets_of(each, (*path, name))
    elif isinstance(node, tuple):
        for at, each in enumerate(node):
            yield from secrets_of(each, (*path, at))
    elif isinstance(node, Node):
        for name in type(node).model_fields:
            yield from secrets_of(getattr(node, name), (*path, name))


def _contents(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(f"file {path} cannot be read: {reason}") from None


def store_url(value: Any, info: ValidationInfo) -> Hidden:
    """Read the address of a store: plain where it has no password, else as a secret."""
    around = info.context
    plain = isinstance(value, str)
    hidden = Hidden(value, "here") if plain else secret(value, info)
    if hidden.missing:
        return hidden
    try:
        parts = urlsplit(hidden.reveal())
        known = parts.scheme in ("redis", "rediss", "unix") and bool(parts.hostname or parts.path)
        password = parts.password
    except ValueError:
        known, password = False, None
    if not known:
        raise ValueError("write the store's URL as redis://HOST:PORT/0, rediss://... or unix://...")
    outside = isinstance(around, Surroundings) and bool(
        {("store",), ("store", "url")} & around.plain
    )
    if plain and password and not outside:
        raise ValueError(f"the URL has a password: {_INSTEAD}")
    return hidden


def embedded_or_mapping(value: Any, info: ValidationInfo) -> Any:
    """Read `store: embedded` as its settings' defaults."""
    if value == "embedded":
        return {}
    if isinstance(value, str):
        raise ValueError("write `embedded`, or `{url: redis://HOST:PORT/0}`")
    chosen = isinstance(info.context, Surroundings) and ("store", "url") in info.context.plain
    both = isinstance(value, dict) and value.get("url") is not None and "embedded" in value
    if both and not chosen:  # a URL from outside the file wins over it
        raise ValueError("`url` and `embedded` exclude each other: keep one")
    return value


def header_name(value: str) -> str:
    """Check the name of a header that may be set or passed on."""
    if not _TOKEN.fullmatch(value) and not _TOKEN.fullmatch(value.removesuffix("*")):
        raise ValueError(f"{value!r} is not a header's name")
    if value.lower() in HOP_BY_HOP or value.lower().startswith("interlock-"):
        raise ValueError(f"{value!r} belongs to one connection or to Interlock and never passes")
    return value


def long_enough(value: Hidden) -> Hidden:
    """Check that a secret from which keys are derived cannot be guessed."""
    if len(value.reveal()) < 32:
        raise ValueError(f"{value.place} has fewer than 32 characters: `openssl rand -hex 32`")
    return value


def plain_name(value: str) -> str:
    """Check a name that becomes part of a path or of a key in the store."""
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value[:70]!r} is no name: use a-z, 0-9 and _ . - (at most 64)")
    return value


def reviewed_name(value: str) -> str:
    """Check an id or group of a person: it is shown, recorded and compared."""
    if not _PERSON.fullmatch(value):
        raise ValueError(
            "use letters, digits and @ . _ + -, the first a letter or digit (at most 128)"
        )
    return value


def known_person(value: str) -> str:
    """Check the id of a person, and return the one way in which it is kept."""
    return person_id(reviewed_name(value))


Duration = Annotated[float, BeforeValidator(duration)]
Listen = Annotated[Address, PlainValidator(address), PlainSerializer(str, str)]
Size = Annotated[int, BeforeValidator(size)]
Secret = Annotated[Hidden, PlainValidator(secret), PlainSerializer(repr, str)]
StoreUrl = Annotated[Hidden, PlainValidator(store_url), PlainSerializer(repr, str)]
FilePath = Annotated[Path, PlainValidator(file_path), PlainSerializer(str, str)]
WebUrl = Annotated[str, BeforeValidator(web_url)]
EndpointUrl = Annotated[str, BeforeValidator(endpoint_url), Field(min_length=1)]
Name = Annotated[str, AfterValidator(plain_name)]
Person = Annotated[str, AfterValidator(known_person)]
Group = Annotated[str, AfterValidator(reviewed_name)]
