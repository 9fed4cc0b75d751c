"""Conversations for supervised fine-tuning: calls that people approved, or as they edited them."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import DecidedCall
from .making.columns import TOOLS, anything
from .making.format import Format, Line, Schemas, Use
from .making.labels import corrected, right
from .making.messages import final, prompt, proposed, saying, tools_text


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    edited = final(record)
    call = proposed(record) if right(record) else None
    if edited is not None and corrected(record):
        call = edited
    if call is not None:
        messages = [*prompt(record), *saying(record, call)]
        yield {"messages": messages, "tools": tools_text(record, schemas)}


FORMAT = Format(
    about="Conversations for supervised fine-tuning: calls that people approved or edited.",
    lines=_lines,
    loads="""```python
from datasets import load_dataset
from trl import SFTTrainer

trainer = SFTTrainer(model, train_dataset=load_dataset("FOLDER", split="train"))
```""",
    use=Use.TRAINING,
    unique=True,
    meta=True,
    columns=(anything("messages"), TOOLS),
)
