"""What decided calls become for training, labelling and testing: each file here is one format.

A format's name is its file's name with dashes. What formats share is in `making`. All of it is
pure: records in, lines out.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from .making.format import Format


@functools.cache
def formats() -> Mapping[str, Format]:
    """Return every format by its name, in the order of the names."""
    files = sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.ispkg)
    found = {
        name.replace("_", "-"): importlib.import_module(f"{__name__}.{name}").FORMAT
        for name in files
    }
    return MappingProxyType(found)
