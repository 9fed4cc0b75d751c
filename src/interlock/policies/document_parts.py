"""The words that policy files and suites are written with: names, durations, lists of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

StakeWord = Literal["low", "medium", "high", "critical"]
ReversibilityWord = Literal["read_only", "reversible", "compensable", "irreversible"]
LevelWord = Literal["allow", "notify", "approve", "approve_dual", "deny"]
Mode = Literal["enforce", "shadow"]
Preset = Literal["lenient", "standard", "strict"]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000)]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(ms|s|m|h|d)$")]


def _listed(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


_OneOrMore = BeforeValidator(_listed, json_schema_input_type=str | list[str])

Names = Annotated[tuple[Name, ...], _OneOrMore]
Values = Annotated[tuple[Annotated[str, Field(max_length=500)], ...], _OneOrMore]
Some = Annotated[Names, Field(min_length=1)]
Steps = Annotated[int, Field(ge=1, le=3)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A part of a policy file: strict, immutable, no unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=False)
