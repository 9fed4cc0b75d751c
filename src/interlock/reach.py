"""Which addresses a tool or a receiver may be at. The address that is checked is connected to.

Against server-side request forgery and DNS rebinding: every connection resolves the name anew,
every address of the answer is checked, and the connection goes to one of those, by number.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200"))
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Reach(enum.Enum):
    """How far addresses may reach inwards."""

    PUBLIC = "public"  #: addresses of the internet only
    LOOPBACK = "loopback"  #: this machine only: the URL itself says so
    PRIVATE = "private"  #: private networks too (`allow_private`), never link-local or metadata


class ForbiddenAddress(OSError):
    """The name resolves to an address that it may not be at."""


def reach_of(host: str, *, allow_private: bool) -> Reach:
    """Return the reach of what is at a URL that names *host*."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return Reach.LOOPBACK
    literal = _literal(host)
    if literal is not None and literal.is_loopback:
        return Reach.LOOPBACK
    return Reach.PRIVATE if allow_private else Reach.PUBLIC


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def check_host(host: str, reach: Reach) -> None:
    """Refuse a URL whose host is an address outside *reach*; names are checked when resolved.

    Raises:
        ForbiddenAddress: it is.
    """
    literal = _literal(host)
    if literal is not None and not permitted(literal, reach):
        raise ForbiddenAddress(_refusal(host, literal, reach))


def _refusal(host: str, address: Address, reach: Reach) -> str:
    if reach is Reach.LOOPBACK:
        return f"{host} is at {address}, which is not this machine."
    if reach is Reach.PUBLIC and permitted(address, Reach.PRIVATE):
        return (
            f"{host} is at {address}, which is not a public address. "
            "If it really is there, set `allow_private: true` on it."
        )
    return f"{host} is at {address}, where nothing may be (link-local, metadata, multicast ...)."


def permitted(address: Address, reach: Reach) -> bool:
    """Say whether what has this reach may be at *address* (RFC 6890 registries)."""
    inner = _embedded(address)
    if inner is not None:
        return permitted(inner, reach)
    if address in _METADATA or address.is_link_local or address.is_multicast:
        return False
    if address.is_unspecified or (address.version == 4 and address.is_reserved):
        return False
    if reach is Reach.LOOPBACK:
        return address.is_loopback
    return reach is Reach.PRIVATE or address.is_global


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address inside a mapped, 6to4, Teredo or NAT64 address."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


class CheckedResolver(AbstractResolver):
    """Resolves through *inner* and lets only permitted answers through, all or none."""

    def __init__(self, reach: Reach, inner: AbstractResolver | None = None) -> None:
        self._reach = reach
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*.

        Raises:
            ForbiddenAddress: one of them is outside the reach. An OSError, as for no address.
        """
        results = await self._inner.resolve(host, port, family)
        for result in results:
            address = ipaddress.ip_address(result["host"].partition("%")[0])
            if not permitted(address, self._reach):
                raise ForbiddenAddress(_refusal(host, address, self._reach))
        return results

    async def close(self) -> None:
        await self._inner.close()
