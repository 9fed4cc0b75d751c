"""Where browsers sign for this installation (WebAuthn's relying party). Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..core.errors import Forbidden

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """`id`: the domain that signatures are for; `origin`: where the page has to be open."""

    id: str
    origin: str


def relying_party(url: str) -> RelyingParty:
    """Return what signs for the page at *url*. Of this machine itself, that is `localhost`.

    Raises:
        Forbidden: browsers sign nothing there (Web Authentication Level 3, section 5.1.4).
    """
    why = obstacle(url)
    if why:
        raise Forbidden(why, help="Set `people.url` to an https:// URL with a domain name.")
    parts = urlsplit(url)
    host = "localhost" if _loopback(parts.hostname or "") else (parts.hostname or "")
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return RelyingParty(id=host, origin=f"{parts.scheme}://{host}{port}")


def obstacle(url: str) -> str:
    """Return why browsers sign nothing at *url*, or nothing."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _loopback(host) or host.endswith(".localhost"):
        return ""
    if _address(host) is not None:
        return (
            f"Browsers sign nothing for a page at an IP address ({host}): security keys and"
            " passkeys need a domain name, or localhost."
        )
    if parts.scheme != "https":
        return f"Browsers sign nothing for {host} without TLS: security keys need https://."
    return ""


def elsewhere(url: str) -> str:
    """Return where the page has to be open instead of at *url*, or nothing: it is right there."""
    if obstacle(url) or _address(urlsplit(url).hostname or "") is None:
        return ""
    return relying_party(url).origin


def _loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
