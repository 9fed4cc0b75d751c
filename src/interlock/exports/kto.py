"""Single judged answers for TRL's `KTOTrainer` (Ethayarajh et al., 2024): no pairs are needed."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import DecidedCall
from .making.columns import TOOLS, calls, messages
from .making.format import Format, Line, Schemas, Use
from .making.labels import corrected, right
from .making.messages import alike, final, prompt, proposed, saying, tools_text


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    good = right(record)
    if good is None:
        return
    before, offered = prompt(record), tools_text(record, schemas)
    edited = final(record)
    if edited is not None and corrected(record):
        if alike(record):  # one call would be right and not right
            return
        after = saying(record, edited)
        yield {"prompt": before, "completion": after, "label": True, "tools": offered}
    said = saying(record, proposed(record))
    yield {"prompt": before, "completion": said, "label": good, "tools": offered}


FORMAT = Format(
    about="Single calls with a label for TRL's KTO: right as proposed or edited, or not right.",
    lines=_lines,
    loads="""```python
from datasets import load_dataset
from trl import KTOTrainer

trainer = KTOTrainer(model, train_dataset=load_dataset("FOLDER", split="train"))
```""",
    use=Use.TRAINING,
    labelled=True,
    unique=True,
    meta=True,
    columns=(messages("prompt"), calls("completion"), {"name": "label", "dtype": "bool"}, TOOLS),
)
