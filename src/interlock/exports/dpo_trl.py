"""Pairs for TRL's `DPOTrainer`: conversational, with tool calls, prompt written out.

Source: TRL 1.16, `docs/source/dataset_formats.md` and `trl/data_utils.py`; `tools` may be a JSON
text there (`dpo_trainer.py`), which keeps Arrow from giving every schema the keys of all others.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import DecidedCall
from .making.columns import TOOLS, calls, messages
from .making.format import Format, Line, Schemas, Use
from .making.labels import corrected
from .making.messages import alike, final, prompt, proposed, saying, tools_text


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    edited = final(record)
    if edited is None or not corrected(record) or alike(record):
        return
    yield {
        "prompt": prompt(record),
        "chosen": saying(record, edited),
        "rejected": saying(record, proposed(record)),
        "tools": tools_text(record, schemas),
    }


FORMAT = Format(
    about="Preference pairs for TRL: the call as a person edited it, and as it was proposed.",
    lines=_lines,
    loads="""```python
from datasets import load_dataset
from trl import DPOTrainer

trainer = DPOTrainer(model, train_dataset=load_dataset("FOLDER", split="train"))
```""",
    use=Use.TRAINING,
    unique=True,
    meta=True,
    columns=(messages("prompt"), calls("chosen"), calls("rejected"), TOOLS),
)
