"""What each format makes of what people said of a call."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given

from interlock.core.records import DecidedCall, Turned, pack, unpack
from interlock.exports import formats
from interlock.exports.making.exporter import Exporter, Wanted
from tests.support.records import audited, record, records, reported, said, unreviewed

SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
HASH = "ab" * 32


def lines(name: str, call: DecidedCall, **wanted: Any) -> list[Any]:
    exporter = Exporter(formats()[name], Wanted(**wanted))
    return [json.loads(line) for line in exporter.lines(call, {HASH: SCHEMA})]


def edited(**more: Any) -> DecidedCall:
    usual = {
        "task": "Pay the rent of May.",
        "final": {"tool": "bank.pay", "args": {"amount": 90, "to": "bob"}},
        "final_arguments": {"amount": 90, "to": "bob"},
        "edited": ("args.amount",),
        "schema": HASH,
        "description": "Moves money.",
        "reviews": (said("edit", message="One month is enough."),),
    }
    return record(**(usual | more))


def rejected(**more: Any) -> DecidedCall:
    said_so = (said("reject", reason_code="duplicate", message="Paid already."),)
    return record(**({"state": "rejected", "status": 0, "reviews": said_so} | more))


# ---- pairs ------------------------------------------------------------------------------------


def test_an_edit_is_a_pair_of_the_call_as_edited_and_as_proposed() -> None:
    [line] = lines("dpo-trl", edited())
    assert line["prompt"] == [{"role": "user", "content": "Pay the rent of May."}]
    [chosen], [worse] = line["chosen"], line["rejected"]
    assert chosen["tool_calls"][0]["function"]["arguments"] == {"amount": 90, "to": "bob"}
    assert worse["tool_calls"][0]["function"]["arguments"] == {"amount": 900, "to": "bob"}
    assert chosen["content"] == worse["content"] == "rent is due"
    [tool] = json.loads(line["tools"])
    function = {"name": "bank_pay", "description": "Moves money.", "parameters": SCHEMA}
    assert tool == {"type": "function", "function": function}


@pytest.mark.parametrize("name", ["dpo-trl", "dpo-openai"])
def test_without_a_better_call_there_is_no_pair(name: str) -> None:
    assert lines(name, record()) == []
    assert lines(name, rejected()) == []
    assert lines(name, record(state="responded", reviews=(said("respond", message="No."),))) == []


@pytest.mark.parametrize("name", ["dpo-trl", "dpo-openai", "sft"])
def test_an_edited_call_that_turned_out_wrong_is_no_good_example(name: str) -> None:
    assert lines(name, edited()) != []
    assert lines(name, edited(reports=(reported(Turned.WRONG),))) == []
    assert lines(name, edited(audit=audited(Turned.WRONG))) == []


# From "Direct preference optimization" and FineTunePreferenceRequestInput of OpenAI's own OpenAPI
# document (2.3.0), and Azure's words on it: outputs have at least one assistant message, and
# roles assistant or tool alone.
_CALL = {
    "type": "object",
    "required": ["id", "type", "function"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "required": ["name", "arguments"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
                "arguments": {"type": "string", "contentMediaType": "application/json"},
            },
        },
    },
}
_SAID = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "additionalProperties": False,
        "properties": {
            "role": {"const": "assistant"},
            "content": {"type": "string", "minLength": 1},
            "tool_calls": {"type": "array", "minItems": 1, "items": _CALL},
        },
        "anyOf": [{"required": ["content"]}, {"required": ["tool_calls"]}],
    },
}
OPENAI = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["input", "preferred_output", "non_preferred_output"],
    "additionalProperties": False,
    "properties": {
        "input": {
            "type": "object",
            "required": ["messages"],
            "additionalProperties": False,
            "properties": {
                "messages": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["role", "content"],
                        "properties": {
                            "role": {"enum": ["system", "user", "assistant", "tool"]},
                            "content": {"type": "string"},
                        },
                    },
                },
                "tools": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "function"],
                        "properties": {
                            "type": {"const": "function"},
                            "function": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
                                    "description": {"type": "string"},
                                    "parameters": {"type": "object"},
                                },
                            },
                        },
                    },
                },
                "parallel_tool_calls": {"type": "boolean"},
            },
        },
        "preferred_output": _SAID,
        "non_preferred_output": _SAID,
    },
}
_OPENAI = jsonschema_rs.validator_for(OPENAI)


def test_a_pair_for_openai_is_what_its_documentation_asks_for() -> None:
    [line] = lines("dpo-openai", edited())
    _OPENAI.validate(line)
    [preferred] = line["preferred_output"]
    written = preferred["tool_calls"][0]["function"]["arguments"]
    assert json.loads(written) == {"amount": 90, "to": "bob"}
    assert line["input"]["tools"][0]["function"]["parameters"] == SCHEMA


@given(records(state="answered", final={"tool": "t"}, reviews=(said("edit"),), masked=False))
def test_any_edit_is_valid_for_openai(call: DecidedCall) -> None:
    for line in lines("dpo-openai", call):
        _OPENAI.validate(line)


# ---- single calls -----------------------------------------------------------------------------


def labels(call: DecidedCall) -> list[tuple[bool, int]]:
    return [
        (
            line["label"],
            line["completion"][0]["tool_calls"][0]["function"]["arguments"]["amount"],
        )
        for line in lines("kto", call)
    ]


def test_kto_says_of_each_call_whether_it_was_right() -> None:
    assert labels(record()) == [(True, 900)]
    assert labels(rejected()) == [(False, 900)]
    assert labels(edited()) == [(True, 90), (False, 900)]
    assert labels(record(state="responded", reviews=(said("respond"),))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"reports": (reported(Turned.WRONG),)},
        {"reports": (reported(Turned.WRONG, by="r-000000000009"),)},
        {"audit": audited(Turned.WRONG)},
    ],
)
def test_what_turned_out_wrong_never_counts_as_right(changes: dict[str, Any]) -> None:
    assert labels(record(**changes)) == [(False, 900)]
    assert labels(edited(**changes)) == [(False, 900)]
    assert lines("sft", record(**changes)) == []


def test_an_agents_good_word_changes_nothing() -> None:
    praised = (reported(Turned.RIGHT),)
    assert labels(rejected(reports=praised)) == [(False, 900)]
    assert labels(unreviewed(reports=praised)) == []


def test_an_audited_call_counts_as_its_auditor_said() -> None:
    drawn = {"drawn": True, "share": 0.05}
    assert labels(unreviewed(audit=audited(Turned.RIGHT), **drawn)) == [(True, 900)]
    assert labels(unreviewed(audit=audited(Turned.WRONG), **drawn)) == [(False, 900)]
    assert labels(unreviewed()) == []


def test_sft_has_what_people_let_pass_as_they_let_it_pass() -> None:
    for call, amount in ((record(), 900), (edited(), 90)):
        [line] = lines("sft", call)
        user, agent = line["messages"]
        assert user["role"] == "user"
        assert agent["tool_calls"][0]["function"]["arguments"]["amount"] == amount
    assert lines("sft", rejected()) == []


def test_a_prompt_says_which_tool_where_the_users_request_is_not_known() -> None:
    [line] = lines("sft", record())
    assert line["messages"][0]["content"] == "Do what is needed next with the tool bank_pay."


def test_a_tool_of_an_mcp_server_has_the_name_that_the_model_knows() -> None:
    request = {"mcp": {"server": "files", "tool": "delete file"}, "args": {"path": "/x"}}
    [line] = lines("sft", record(tool="files.delete", request=request))
    assert line["messages"][1]["tool_calls"][0]["function"]["name"] == "delete_file"


def test_a_call_of_no_known_tool_is_its_request() -> None:
    request = {"upstream": "bank", "method": "POST", "path": "/x", "headers": {"a": "b"}}
    [line] = lines("kto", rejected(tool="", arguments={}, request=request))
    function = line["completion"][0]["tool_calls"][0]["function"]
    arguments = {"method": "POST", "upstream": "bank", "path": "/x"}
    assert function == {"name": "http_request", "arguments": arguments}


# ---- reading ----------------------------------------------------------------------------------


@given(records())
def test_records_are_read_back_as_they_were(call: DecidedCall) -> None:
    for line in lines("records", call):
        assert pack(unpack(line)) == line


def test_a_task_for_label_studio_has_what_agent_and_people_said() -> None:
    call = edited(audit=audited(Turned.WRONG))
    [task] = lines("label-studio", call)
    assert json.loads(task["data"]["call"]) == {"amount": 900, "to": "bob"}
    assert task["data"]["reviewers"] == ["r-0123456789ab", "r-ba9876543210"]
    [prediction] = task["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.9, "bot")
    by_person, by_auditor = task["annotations"]
    said_so = {each["from_name"]: each["value"] for each in by_person["result"]}
    assert said_so["verdict"] == {"choices": ["edit"]}
    assert json.loads(said_so["edited"]["text"][0]) == {"amount": 90, "to": "bob"}
    assert said_so["why"] == {"text": ["One month is enough."]}
    assert by_auditor["result"][0]["value"] == {"choices": ["reject"]}


def test_the_formats_are_the_files() -> None:
    assert list(formats()) == [
        *("corpus", "dpo-openai", "dpo-trl", "kto", "label-studio", "policy-tests", "records"),
        "sft",
    ]
