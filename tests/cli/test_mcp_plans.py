"""Installing and undoing on texts: whatever the file looks like, all else in it stays."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.cli.mcp_entries import guarded
from interlock.cli.mcp_nodes import Edit, plain
from interlock.cli.mcp_plans import (
    Fate,
    Gate,
    Settings,
    changed,
    installed,
    legal_name,
    read_settings,
    shown_diff,
    undone,
)
from interlock.core.errors import InterlockError, InvalidDocument

GATE = Gate(
    program=("/opt/interlock",),
    config="/etc/interlock.yaml",
    address="http://127.0.0.1:8080",
    servers={"remote": "https://mcp.example/mcp"},
)
PLACES = (("mcpServers",), ("mcp_servers",))


def settings(text: str, file: str = "f.json") -> Settings:
    return read_settings(file, text, PLACES)


def install(before: Settings, gate: Gate = GATE) -> Settings:
    return changed(before, installed(before, before.entries, gate))


def undo(now: Settings, before: Settings | None = None, gate: Gate = GATE) -> Settings:
    old = {entry.where: (entry, before.text) for entry in before.entries} if before else {}
    return changed(now, undone(now, now.entries, gate, old.get))


def servers(text: str) -> Any:
    return plain(settings(text).tree)["mcpServers"]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SERVER = st.fixed_dictionaries(
    {"command": st.sampled_from(["npx", "C:\\x\\node.exe", "./run me"]) | WORDS.filter(str.strip)},
    optional={
        "args": st.lists(WORDS, max_size=3),
        "env": st.dictionaries(WORDS, WORDS, max_size=2),
        "cwd": WORDS,
        "disabled": st.booleans(),
    },
) | st.fixed_dictionaries(
    {"url": st.sampled_from(["https://mcp.example/mcp", "https://MCP.example:443/mcp/"])},
    optional={"type": st.just("http"), "headers": st.just({"Authorization": "Bearer x"})},
)
FILES = st.dictionaries(WORDS | st.sampled_from(["remote", "Fs", "fs"]), SERVER, max_size=5)


TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^{}\[\],:"\s]+')
BETWEEN = ["", "", " ", "\n", "\r\n\t", "  // c, } ]\n    ", '/* " { */', "\n\n  "]


def written(value: Any, choose: Random) -> str:
    """Return *value* as JSON with spaces, lines and comments wherever they may be."""
    tokens = TOKEN.findall(json.dumps(value, ensure_ascii=choose.random() < 0.5))
    commas = [
        "," if after in "]}" and before not in "[{,:" and choose.random() < 0.3 else ""
        for before, after in zip(["{", *tokens], tokens, strict=False)
    ]
    return "".join(
        f"{comma}{choose.choice(BETWEEN)}{token}{choose.choice(BETWEEN)}"
        for comma, token in zip(commas, tokens, strict=True)
    )


@given(FILES, st.sampled_from([None, 2, "\t", "free"]), st.randoms(use_true_random=False))
def test_undoing_an_install_gives_the_very_text_back(
    found: dict[str, Any], indent: int | str | None, choose: Random
) -> None:
    data = {"a": 1.0, "mcpServers": {}, "z": [None]}
    for name, server in found.items():
        keys = choose.sample(sorted(server), len(server))
        data["mcpServers"][name] = {key: server[key] for key in keys}
    text = written(data, choose) if indent == "free" else json.dumps(data, indent=indent)
    before = settings(text)
    after = install(before)
    assert undo(after, before).text == text
    assert install(after).text == after.text
    for name, server in found.items():
        if "command" in server:
            now = plain(after.tree)["mcpServers"][name]
            own = [server["command"], *server.get("args", [])]
            assert now["args"][-len(own) :] == own and now["command"] == "/opt/interlock"
            kept = {key: value for key, value in now.items() if key not in ("command", "args")}
            assert kept == {key: server[key] for key in kept}


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'


@given(FILES, st.sampled_from(["table", "inline", "dotted"]), st.sampled_from(["\n", "\r\n"]))
def test_undoing_gives_toml_back_too(found: dict[str, Any], form: str, newline: str) -> None:
    lines = ["# first", "model = 'x'  # model"]
    if form != "table":
        lines.append("[mcp_servers]")
    for name, server in found.items():
        if form == "table":
            lines.append(f"[mcp_servers.{toml(name)}]")
            lines += [f"  {key} = {toml(value)}  # {key}" for key, value in server.items()]
        elif form == "inline":
            lines.append(f"{toml(name)} = {toml(server)} # inline")
        else:
            lines += [f"{toml(name)}.{key} = {toml(value)}" for key, value in server.items()]
    before = settings(newline.join(lines), "config.toml")
    after = install(before)
    assert tomllib.loads(after.text)["model"] == "x"
    assert undo(after, before).text == before.text
    assert install(after).text == after.text


@given(FILES)
def test_no_two_servers_get_one_name(found: dict[str, Any]) -> None:
    after = install(settings(json.dumps({"mcpServers": found})))
    names = [known.server for entry in after.entries if (known := guarded(entry.words))]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "taken", "legal"),
    [
        ("GitHub", (), "github"),
        ("Café Ünïcode", (), "cafe-unicode"),
        ("my server!", (), "my-server"),
        ("_x", (), "x"),
        ("日本", (), "server"),
        ("日本", ("server",), "server-2"),
        ("a" * 70, ("a" * 64,), "a" * 62 + "-2"),
        ("FS", ("fs", "fs-2"), "fs-3"),
    ],
)
def test_names_become_legal_and_stay_apart(name: str, taken: tuple[str, ...], legal: str) -> None:
    assert legal_name(name, taken) == legal and len(legal) <= 64


def test_a_name_that_is_legal_already_is_never_taken_by_another() -> None:
    text = '{"mcpServers": {"FS": {"command": "a"}, "fs": {"command": "b"}}}'
    got = servers(install(settings(text)).text)
    assert "fs-2" in got["FS"]["args"] and "fs" in got["fs"]["args"]


def test_a_server_added_later_does_not_rename_the_first() -> None:
    first = install(settings('{"mcpServers": {"FS": {"command": "a"}}}')).text
    more = first.replace('{"mcpServers": {', '{"mcpServers": {"fs": {"command": "b"}, ')
    got = servers(install(settings(more)).text)
    assert "fs" in got["FS"]["args"] and "fs-2" in got["fs"]["args"]


def test_no_started_server_gets_the_name_of_an_upstream_or_of_a_server_behind_a_url() -> None:
    gate = dataclasses.replace(GATE, upstreams=frozenset({"fs"}))
    text = '{"mcpServers": {"fs": {"command": "a"}, "remote": {"command": "b"}}}'
    got = servers(install(settings(text), gate).text)
    assert "fs-2" in got["fs"]["args"] and "remote-2" in got["remote"]["args"]


def test_one_server_of_two_projects_keeps_one_name() -> None:
    text = '{"mcpServers": {"fs": {"command": "a"}}, "mcp_servers": {"fs": {"command": "b"}}}'
    after = install(settings(text))
    assert [guarded(entry.words).server for entry in after.entries] == ["fs", "fs"]


def test_an_entry_is_put_back_after_the_client_wrote_its_file_anew() -> None:
    text = '{"mcpServers": {"s": {"command": "npx", "args": ["-y"]}, "t": {"command": "x"}}}'
    before = settings(text)
    now = json.loads(install(before).text)
    now["theme"] = "dark"
    now["mcpServers"]["new"] = {"command": "y"}
    got = undo(settings(json.dumps(now, indent=4)), before).text
    want = json.loads(text)["mcpServers"] | {"new": {"command": "y"}}
    assert json.loads(got) == {"mcpServers": want, "theme": "dark"}


def test_without_a_backup_the_command_still_comes_back() -> None:
    now = install(settings('{"mcpServers": {"s": {"command": "npx"}}}'))
    assert servers(undo(now).text) == {"s": {"command": "npx", "args": []}}


def test_a_url_comes_back_from_the_backup_or_else_from_interlock_yaml() -> None:
    before = settings('{"mcpServers": {"remote": {"url": "https://mcp.example/mcp/"}}}')
    now = install(before)
    assert servers(now.text)["remote"]["url"] == "http://127.0.0.1:8080/mcp/remote"
    assert undo(now, before).text == before.text
    assert servers(undo(now).text)["remote"]["url"] == "https://mcp.example/mcp"


def test_a_url_that_is_nowhere_is_left_and_said() -> None:
    text = '{"mcpServers": {"lost": {"url": "http://127.0.0.1:8080/mcp/lost"}}}'
    now = settings(text)
    (outcome,) = undone(now, now.entries, GATE, lambda where: None)
    assert outcome.fate is Fate.LEFT and "by hand" in outcome.said


def test_trailing_commas_that_came_meanwhile_do_no_harm() -> None:
    before = settings('{"mcpServers": {"s": {"command": "npx", "args": []}}}')
    text = install(before).text.replace('"npx"]', '"npx", ]')
    assert servers(undo(settings(text), before).text) == {"s": {"command": "npx", "args": []}}


@pytest.mark.parametrize(
    "entry",
    [
        '{"args": ["--", "npx"], "command": "interlock"}',
        '{"b": 1, "command": "interlock", "args": []}',
    ],
)
def test_what_only_looks_like_interlock_is_wrapped_as_any_other(entry: str) -> None:
    text = f'{{"mcpServers": {{"s": {entry}}}}}'
    assert undo(install(settings(text)), settings(text)).text == text
    assert servers(install(settings(text)).text)["s"]["command"] == "/opt/interlock"


@pytest.mark.parametrize(
    "member", ['"args": ["A"], "command": "B"', '"x": 1, "args": ["A"], "command": "B"']
)
def test_members_that_were_moved_meanwhile_are_taken_out_cleanly(member: str) -> None:
    before = settings('{"mcpServers": {"s": {"command": "npx"}}}')
    now = json.loads(install(before).text)["mcpServers"]["s"]
    args, command = json.dumps(now["args"]), json.dumps(now["command"])
    moved = member.replace('["A"]', args).replace('"B"', command)
    got = undo(settings(f'{{"mcpServers": {{"s": {{{moved}}}}}}}'), before).text
    assert json.loads(got)["mcpServers"]["s"]["command"] == "npx"
    assert "args" not in json.loads(got)["mcpServers"]["s"]


def test_another_place_of_interlock_is_written_anew_and_the_command_kept() -> None:
    before = settings('{"mcpServers": {"s": {\n "command": "npx",\n "args": [\n  "-y"\n ]}}}')
    module = Gate(
        program=("/v/python", "-m", "interlock"), config="/c.yaml", address="http://h", servers={}
    )
    moved = install(install(before), module)
    assert servers(moved.text)["s"]["args"][:3] == ["-m", "interlock", "mcp"]
    assert install(moved, module).text == moved.text
    assert undo(moved, before).text == before.text


def test_a_program_that_is_only_called_interlock_does_not_count() -> None:
    text = (
        '{"mcpServers": {"s": {"command": "./interlock", "args": ["mcp", "--quiet", "--", "x"]}}}'
    )
    before = settings(text)
    (outcome,) = installed(before, before.entries, GATE)
    assert outcome.fate is Fate.LEFT and "is not this Interlock" in outcome.said


def test_a_hand_written_start_by_this_interlock_counts() -> None:
    text = '{"mcpServers": {"s": {"command": "/opt/interlock", "args": ["mcp", "-v", "--", "x"]}}}'
    before = settings(text)
    (outcome,) = installed(before, before.entries, GATE)
    assert outcome.fate is Fate.ALREADY


def test_a_url_through_interlock_that_interlock_yaml_has_lost_is_told() -> None:
    before = settings('{"mcpServers": {"s": {"url": "http://127.0.0.1:8080/mcp/s"}}}')
    (outcome,) = installed(before, before.entries, GATE)
    assert outcome.fate is Fate.ALREADY and "has no server 's'" in outcome.said


def test_a_hand_written_start_through_interlock_can_be_taken_out() -> None:
    text = '{"mcpServers": {"s": {"command": "uvx", "args": ["interlock", "mcp", "--server", "q", "--agent", "x", "--", "npx"]}}}'  # noqa: E501
    assert install(settings(text)).text == text
    assert servers(undo(settings(text)).text)["s"] == {"command": "npx", "args": []}


def test_interlock_stands_in_front_of_another_wrapper_and_says_so() -> None:
    text = '{"mcpServers": {"s": {"command": "npx", "args": ["mcp-remote", "https://x.y"]}}}'
    before = settings(text)
    (outcome,) = installed(before, before.entries, GATE)
    assert outcome.fate is Fate.CHANGED and "in front of mcp-remote" in outcome.said


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('{"source": "extension"}', "neither `command` nor `url`"),
        ('{"command": "x", "url": "https://y"}', "several of"),
        ('{"command": 7}', "no text"),
        ('{"command": " "}', "no text"),
        ('{"command": "x", "args": "-y"}', "no list of texts"),
        ('{"command": "x", "args": [1]}', "no list of texts"),
        ('{"command": "x", "command": "y"}', "'command' is there twice"),
        ('"npx x"', "no object"),
        ('{"url": "https://${HOST}/mcp"}', "a variable"),
        ('{"url": "https://other.example"}', "has no server 's'"),
        ('{"command": "interlock", "args": ["mcp", "--server", "s"]}', "without a command"),
    ],
)
def test_what_cannot_be_changed_is_left_and_why_is_said(entry: str, told: str) -> None:
    before = settings(f'{{"mcpServers": {{"s": {entry}}}}}')
    (outcome,) = installed(before, before.entries, GATE)
    assert outcome.fate is Fate.LEFT
    assert told in outcome.said and not outcome.edits


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "f.json:1:1: must be an object, is a list"),
        ('{"mcpServers": []}', "f.json:1:16: `mcpServers` must map servers' names"),
        ('{"mcpServers": {},\n "mcpServers": {}}', "f.json:2:2: 'mcpServers' is there twice"),
        ('{"mcpServers": {"a": {}, "a": {}}}', "f.json:1:26: 'a' is there twice"),
    ],
)
def test_a_file_that_can_be_read_in_two_ways_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidDocument) as raised:
        settings(text)
    assert str(raised.value).startswith(told)


def test_a_change_that_would_read_back_otherwise_is_never_made() -> None:
    before = settings('{"mcpServers": {"s": {"command": "x", "k": 1}}}')
    (outcome,) = installed(before, before.entries, GATE)
    broken = dataclasses.replace(outcome, edits=(Edit(26, 26, "]"),))
    other = dataclasses.replace(outcome, edits=(*outcome.edits, Edit(43, 44, "2")))
    for wrong in (broken, other, dataclasses.replace(outcome, edits=())):
        with pytest.raises(InterlockError, match="Nothing was done"):
            changed(before, [wrong])


def test_escaped_and_dotted_keys_of_toml_are_understood() -> None:
    text = 'mcp_servers . s . "comm\\u0061nd" = "x" # c'
    before = settings(text, "config.toml")
    after = install(before)
    assert 'mcp_servers . s . args = ["mcp"' in after.text
    assert undo(after, before).text == text


def test_the_diff_shows_how_servers_start_and_no_secret() -> None:
    text = json.dumps(
        {
            "account": {"token": "t-secret"},
            "mcpServers": {"s": {"command": "npx", "env": {"K": "e-secret"}, "args": ["-y"]}},
        },
        indent=1,
    )
    before = settings(text)
    said = shown_diff(before, install(before))
    assert "secret" not in said and '"***"' in said and '+   "command": "/opt/interlock"' in said
