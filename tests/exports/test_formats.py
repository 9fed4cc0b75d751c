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


def test_a_pair_differs_in_what_was_edited_alone() -> None:
    before = {"to": {"name": "bob", "iban": "DE02"}, "amount": 900, "lines": [{"a": 1, "b": 2}]}
    after = {
        "lines": [{"b": 2, "a": 3}, {"b": 1}],
        "memo": "x",
        "to": {"iban": "DE02", "name": "al"},
    }
    call = edited(arguments=before, final_arguments=after)
    [line] = lines("dpo-openai", call)
    [said_so] = line["preferred_output"]
    assert said_so["tool_calls"][0]["function"]["arguments"] == json.dumps(
        {
            "to": {"name": "al", "iban": "DE02"},
            "lines": [{"a": 3, "b": 2}, {"b": 1}],
            "memo": "x",
        }
    )
    [line] = lines("dpo-trl", call)
    assert list(line["chosen"][0]["tool_calls"][0]["function"]["arguments"]) == [
        *("to", "lines", "memo")
    ]


@given(records(state="answered", final={"tool": "t"}, reviews=(said("edit"),), masked=False))
def test_the_edited_call_is_the_one_that_was_sent_in_whatever_order(call: DecidedCall) -> None:
    for line in lines("dpo-trl", call):
        [chosen] = line["chosen"][0]["tool_calls"]
        if call.tool:
            assert chosen["function"]["arguments"] == pack(call).get("final_arguments", {})


@pytest.mark.parametrize("name", ["dpo-trl", "dpo-openai", "kto"])
def test_what_was_edited_back_is_no_bad_example_of_itself(name: str) -> None:
    twice = (said("edit"), said("edit", who="r-ba9876543210"))
    back = edited(final_arguments={"to": "bob", "amount": 900}, edited=(), reviews=twice)
    assert lines(name, back) == []
    as_float = edited(final_arguments={"to": "bob", "amount": 900.0})
    assert lines(name, as_float) != []
    [good] = lines("sft", back)
    assert good["messages"][1]["tool_calls"][0]["function"]["arguments"]["amount"] == 900


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
    [tool] = json.loads(line["tools"])
    parameters = tool["function"]["parameters"]
    jsonschema_rs.Draft202012Validator(parameters).validate(arguments)
    assert arguments.keys() <= parameters["properties"].keys()


@pytest.mark.parametrize("kept", [{}, {HASH: {"type": "object", "title": "pay"}}, {HASH: {}}])
def test_a_tools_schema_says_which_properties_there_are_as_openai_asks(
    kept: dict[str, Any],
) -> None:
    exporter = Exporter(formats()["sft"], Wanted())
    [text] = exporter.lines(record(schema=HASH), kept)
    [tool] = json.loads(json.loads(text)["tools"])
    assert tool["function"]["parameters"] == {"type": "object", **kept.get(HASH, {})} | {
        "properties": {}
    }


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


def test_how_long_somebody_looked_is_left_out_where_nobody_saw_it() -> None:
    [task] = lines("label-studio", record(reviews=(said(), said(looked_ms=0))))
    assert [each.get("lead_time") for each in task["annotations"]] == [9.0, None]


def test_who_approves_an_edited_call_does_not_approve_the_proposed_one() -> None:
    ann, bob = {"who": "r-00000000000a"}, {"who": "r-00000000000b"}
    reviews = (said(**ann), said("edit", **bob), said("edit", **ann), said(**bob))
    [task] = lines("label-studio", edited(reviews=reviews))
    told = [
        {each["from_name"]: each["value"] for each in annotation["result"]}
        for annotation in task["annotations"]
    ]
    assert [each["verdict"]["choices"] for each in told] == [
        *(["approve"], ["edit"], ["edit"], ["edit"])
    ]
    assert ["edited" in each for each in told] == [False, False, True, True]
    refused = (said("edit", **ann), said("reject", **bob))
    [task] = lines("label-studio", edited(state="rejected", reviews=refused))
    assert [each["result"][0]["value"]["choices"] for each in task["annotations"]] == [
        *(["edit"], ["reject"])
    ]


def test_the_formats_are_the_files() -> None:
    assert list(formats()) == [
        *("corpus", "dpo-openai", "dpo-trl", "kto", "label-studio", "policy-tests", "records"),
        "sft",
    ]
