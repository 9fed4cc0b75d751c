"""Tasks for Label Studio, with the agent's confidence as prediction and verdicts as annotations.

Source: labelstud.io, "Label Studio JSON format of annotated tasks". Who judged stands in the
data, as a pseudonym: `completed_by` has to name a user of the Label Studio that imports it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.records import Audited, DecidedCall, Said, Turned
from .making.format import Format, Line, Schemas, Shape, Use
from .making.messages import final, proposed

CONFIG = """<View>
  <Header value="What the user asked for"/>
  <Text name="task" value="$task"/>
  <Header value="Why the agent calls the tool, in its own words"/>
  <Text name="reason" value="$reason"/>
  <Header value="The call ($tool)"/>
  <Text name="call" value="$call"/>
  <Choices name="verdict" toName="call" choice="single" required="true">
    <Choice value="approve"/>
    <Choice value="edit"/>
    <Choice value="reject"/>
    <Choice value="respond"/>
  </Choices>
  <TextArea name="edited" toName="call" editable="true" maxSubmissions="1"/>
  <TextArea name="why" toName="call" editable="true"/>
</View>
"""
"""The labelling interface that these tasks fit."""

_AUDITED = {Turned.RIGHT: "approve", Turned.WRONG: "reject"}


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    if not record.reviews and record.audit is None:
        return
    task: Line = {"data": _data(record)}
    if record.confidence is not None:
        result = [_chosen("approve")]
        said = {"model_version": record.agent or "agent", "score": record.confidence}
        task["predictions"] = [said | {"result": result}]
    annotations = _reviewed(record)
    if record.audit is not None:
        annotations.append(_annotation(record.audit, _AUDITED[record.audit.turned]))
    yield task | {"annotations": annotations}


def _data(record: DecidedCall) -> dict[str, Any]:
    reviewers = [said.who for said in record.reviews]
    reviewers += [record.audit.who] if record.audit is not None else []
    return {
        "id": record.id,
        "task": record.task or "(not known)",
        "reason": record.reason or "(none)",
        "tool": record.tool or "(unknown)",
        "call": _shown(proposed(record)[1]),
        "agent": record.agent,
        "level": record.level,
        "rules": list(record.rules),
        "policy": record.policy,
        "reviewers": reviewers,
        "masked": record.masked,
        "reported": [each.turned.value for each in record.reports],
    }


def _reviewed(record: DecidedCall) -> list[dict[str, Any]]:
    """Return what each person said of the call as it was proposed.

    Who approved after an edit let pass the edited call alone, which is to edit the proposed one.
    Of several edits, only what the last one made is on record.
    """
    edited = final(record)
    edits = [number for number, said in enumerate(record.reviews) if said.verdict == "edit"]
    since = edits[-1] if edits else len(record.reviews)
    found = []
    for number, said in enumerate(record.reviews):
        passed = number >= since and said.verdict in ("approve", "edit")
        annotation = _annotation(said, "edit" if passed else said.verdict)
        if passed and edited is not None:
            annotation["result"].append(_written("edited", _shown(edited[1])))
        found.append(annotation)
    return found


def _annotation(said: Said | Audited, verdict: str) -> dict[str, Any]:
    result = [_chosen(verdict)]
    why = "\n".join(each for each in (said.reason_code, said.message) if each)
    if why:
        result.append(_written("why", why))
    annotation: dict[str, Any] = {"result": result, "was_cancelled": False}
    seen = {"lead_time": said.looked_ms / 1000} if said.looked_ms else {}  # 0: nobody saw
    return annotation | seen


def _chosen(verdict: str) -> dict[str, Any]:
    return _region("verdict", "choices", {"choices": [verdict]})


def _written(name: str, text: str) -> dict[str, Any]:
    return _region(name, "textarea", {"text": [text]})


def _region(name: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": "call", "type": kind, "value": dict(value)}


def _shown(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, indent=2, ensure_ascii=False)


FORMAT = Format(
    about="Tasks for Label Studio: the call, the agent's confidence, and what people said of it.",
    lines=_lines,
    loads="""Make a project with the labelling interface of `label-config.xml`, and import FILE
(at most 250,000 tasks and 200 MB at once):

```python
from label_studio_sdk import LabelStudio

LabelStudio(base_url=URL, api_key=KEY).projects.import_tasks(id=PROJECT, request=tasks)
```""",
    use=Use.READING,
    shape=Shape.ARRAY,
)
