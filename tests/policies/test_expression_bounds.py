"""Conditions over arguments that do not fit the schema, and over more than anyone looks at."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.rules import Indeterminate
from interlock.policies.expression_types import of_schema
from interlock.policies.expressions import compile_condition

PAID = of_schema({"type": "object", "properties": {"paid": {"type": "boolean"}}})


@pytest.mark.parametrize("value", ["", 0, "x", [], None])
def test_what_the_schema_calls_a_bool_is_in_doubt_where_it_is_none(value: Any) -> None:
    """Fault caught: `when: args.paid` is false for "", which the schema would have refused."""
    condition = compile_condition("args.paid", {}, PAID)

    assert condition({"args": {"paid": True}}) is True
    with pytest.raises(Indeterminate):
        condition({"args": {"paid": value}})
