"""Pairs for preference fine-tuning as OpenAI, Azure OpenAI and Fireworks take them.

Source: OpenAI, "Direct preference optimization", and `FineTunePreferenceRequestInput` of its
OpenAPI document (2.3.0): one assistant message each, whose tool calls have an id and arguments as
a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..core.records import DecidedCall
from .making.columns import anything
from .making.format import Format, Line, Schemas, Use
from .making.labels import corrected
from .making.messages import Message, alike, final, prompt, proposed, tools

_ID = "call_1"  # a call is answered by its id; nothing answers these


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    edited = final(record)
    if edited is None or not corrected(record) or alike(record):
        return
    yield {
        "input": {
            "messages": prompt(record),
            "tools": tools(record, schemas),
            "parallel_tool_calls": False,
        },
        "preferred_output": [_message(record, edited)],
        "non_preferred_output": [_message(record, proposed(record))],
    }


def _message(record: DecidedCall, call: tuple[str, dict[str, Any]]) -> Message:
    name, arguments = call
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    said: Message = {"role": "assistant"}
    if record.reason:  # content may be left out beside tool calls, not be empty
        said["content"] = record.reason
    return said | {"tool_calls": [{"id": _ID, "type": "function", "function": function}]}


FORMAT = Format(
    about="Preference pairs in OpenAI's format: the call as a person edited it, and as it was.",
    lines=_lines,
    loads="""```sh
curl https://api.openai.com/v1/files -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -F purpose=fine-tune -F file=@FILE
```""",
    use=Use.TRAINING,
    unique=True,
    columns=(
        {"name": "input", "dtype": "json"},
        anything("preferred_output"),
        anything("non_preferred_output"),
    ),
)
