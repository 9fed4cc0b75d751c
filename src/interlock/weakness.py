"""One thing that is weak about an installation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """One thing that is weak. `critical`: Interlock does not start on it.

    `path`: the setting that it is about, such as people.oidc.issuer; empty: no single one.
    """

    name: str
    what: str
    cure: str
    critical: bool = False
    path: str = ""
