"""Reads exports with the real libraries, in an environment of theirs; prints what it saw."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% if tools %}{{ '<tools>' + (tools | tojson) + '</tools>' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<' + message.role + '>' + (message.content or '') }}"
    "{% for call in message.tool_calls or [] %}"
    "{{ '<call>' + call.function.name + ' ' + (call.function.arguments | tojson) + '</call>' }}"
    "{% endfor %}{{ '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def loaded(folder: str) -> Any:
    from datasets import load_dataset

    return load_dataset(folder, cache_dir=tempfile.mkdtemp())


def with_datasets(folder: str) -> Any:
    """Load a folder with its card; say of each split whether it is what the file has."""
    found = {}
    for split, rows in loaded(folder).items():
        lines = (Path(folder) / f"data-{split}.jsonl").read_text().splitlines()
        found[split] = {
            "rows": len(rows),
            "same": list(rows) == [json.loads(line) for line in lines],
            "columns": rows.column_names,
            "features": str(rows.features),
        }
    return found


def tokenizer() -> Any:
    """Return a tiny local tokenizer: what matters is the template."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tiny = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tiny.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=tiny, unk_token="[UNK]")
    made.chat_template = TEMPLATE
    return made


def with_trl(folder: str) -> Any:
    """Do what TRL's trainers do before they tokenize."""
    from trl import data_utils

    rows, words = loaded(folder)["train"], tokenizer()
    shown = []
    for row in rows:
        tools = json.loads(row["tools"])
        applied = data_utils.maybe_apply_chat_template(
            {name: row[name] for name in row if name != "tools"}, words, tools=tools
        )
        shown.append(
            {
                "conversational": data_utils.is_conversational(row),
                "applied": applied,
                "prompt_kept": data_utils.maybe_extract_prompt(dict(row)) == row,
            }
        )
    told: dict[str, Any] = {"rows": shown}
    if "chosen" in rows.column_names:
        alone = data_utils.unpair_preference_dataset(rows)
        told["unpaired"] = [[row["label"], row["completion"]] for row in alone]
        whole = {"chosen": rows[0]["prompt"] + rows[0]["chosen"]}
        whole["rejected"] = rows[0]["prompt"] + rows[0]["rejected"]
        told["extracted"] = data_utils.extract_prompt(whole)
    return told


def with_label_studio(folder: str) -> Any:
    """Hold tasks, predictions and annotations against the labelling interface."""
    from label_studio_sdk.label_interface import LabelInterface
    from label_studio_sdk.label_interface.objects import PredictionValue, TaskValue
    from label_studio_sdk.types import ImportApiRequest

    interface = LabelInterface((Path(folder) / "label-config.xml").read_text())
    interface.validate()
    tasks = json.loads((Path(folder) / "data-train.json").read_text())
    for task in tasks:
        TaskValue(data=task["data"])
        ImportApiRequest(data=task["data"])
        for each in task.get("predictions", []):
            PredictionValue(**each)
    return {
        "tasks": [interface.validate_task({"data": task["data"]}) for task in tasks],
        "predictions": [
            interface.validate_prediction(each, return_errors=True)
            for task in tasks
            for each in task.get("predictions", [])
        ],
        "annotations": [
            [interface.validate_annotation(each), interface._validate_object(each, True)]
            for task in tasks
            for each in task["annotations"]
        ],
    }


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    said = {"datasets": with_datasets, "trl": with_trl, "label-studio": with_label_studio}
    print("\n" + json.dumps(said[task](*arguments)))
