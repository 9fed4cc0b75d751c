"""What operations are taken for, and why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.decisions import Reversibility, Stake

from .building import guess, guess_tool, operation, tool

READ_ONLY, REVERSIBLE, COMPENSABLE, IRREVERSIBLE = Reversibility


def test_a_get_that_lists_is_a_read() -> None:
    found = guess({"/pets": {"get": operation("listPets", "List all pets.")}}, "GET /pets")
    assert found.reversibility is READ_ONLY
    assert found.why == ("method GET, and so name and description",)
    assert not found.confirm


@pytest.mark.parametrize("path", ["/logout", "/sessions/{id}/revoke", "/views.publish"])
def test_a_get_that_does_something_is_guarded(path: str) -> None:
    found = guess({path: {"get": {}}}, f"GET {path}")
    assert found.reversibility is IRREVERSIBLE
    assert found.confirm


def test_a_get_with_a_free_action_is_for_a_person_to_look_at() -> None:
    action = {"name": "action", "in": "query", "schema": {"type": "string"}}
    found = guess({"/box": {"get": operation(parameters=[action])}}, "GET /box")
    assert found.reversibility is COMPENSABLE
    assert found.confirm == ("what can action be?",)


def test_a_post_without_a_verb_is_irreversible_and_asks() -> None:
    found = guess({"/frob": {"post": operation("frobnicate", "Frobnicates.")}}, "POST /frob")
    assert found.reversibility is IRREVERSIBLE
    assert found.stake >= Stake.MEDIUM
    assert found.confirm == ("what does it do?",)


def test_a_search_by_post_is_a_read_where_two_places_say_so() -> None:
    paths = {"/pets/search": {"post": operation("searchPets", "Search pets by name.")}}
    assert guess(paths, "POST /pets/search").reversibility is READ_ONLY


@pytest.mark.parametrize(
    "summary", ["Pets.", "Search pets and delete what is found.", "Archives pets."]
)
def test_a_search_by_post_is_not_a_read_on_weak_evidence(summary: str) -> None:
    paths = {"/pets/finder": {"post": operation("searchPets", summary)}}
    assert guess(paths, "POST /pets/finder").reversibility is IRREVERSIBLE


def test_a_creation_is_undone_by_the_delete_beside_it() -> None:
    paths = {
        "/pets": {"post": operation("createPet", "Create a pet.")},
        "/pets/{id}": {"delete": operation("deletePet", "Delete a pet.")},
    }
    found = guess(paths, "POST /pets")
    assert found.reversibility is REVERSIBLE
    assert found.undo is not None and found.undo.tool == "api.deletePet"
    assert guess(paths, "DELETE /pets/{id}").reversibility is IRREVERSIBLE


def test_a_creation_that_nothing_deletes_is_irreversible_and_asks() -> None:
    found = guess({"/pets": {"post": operation("createPet", "Create a pet.")}}, "POST /pets")
    assert found.reversibility is IRREVERSIBLE
    assert found.confirm == ("how is it taken back?",)


@pytest.mark.parametrize("noun", ["payment", "message", "deployment", "invite", "call", "order"])
def test_creating_what_acts_by_itself_is_irreversible_though_it_can_be_deleted(noun: str) -> None:
    paths = {
        f"/{noun}s": {"post": operation(f"create_{noun}", f"Create a {noun}.")},
        f"/{noun}s/{{id}}": {"delete": operation(f"delete_{noun}")},
    }
    assert guess(paths, f"POST /{noun}s").reversibility is IRREVERSIBLE


def test_a_charge_with_a_refund_can_be_made_up_for() -> None:
    paths = {
        "/charges": {"post": operation("create_charge", "Charge a card.")},
        "/charges/{id}/refund": {"post": operation("refund_charge", "Refund a charge.")},
    }
    found = guess(paths, "POST /charges")
    assert found.reversibility is COMPENSABLE
    assert found.undo is not None and found.undo.tool == "api.refund_charge"
    assert found.facets["money"] == "moved"
    assert guess(paths, "POST /charges/{id}/refund").reversibility is IRREVERSIBLE


def test_a_delete_with_a_restore_beside_it_can_be_made_up_for() -> None:
    paths = {
        "/pets/{id}": {"delete": operation("delete_pet")},
        "/pets/{id}/restore": {"post": operation("restore_pet")},
    }
    found = guess(paths, "DELETE /pets/{id}")
    assert found.reversibility is COMPENSABLE
    assert found.undo is not None and found.undo.tool == "api.restore_pet"


def test_a_delete_into_the_trash_asks_who_restores_it() -> None:
    paths = {"/pets/{id}": {"delete": operation("deletePet", "Moves the pet to the trash.")}}
    found = guess(paths, "DELETE /pets/{id}")
    assert found.reversibility is COMPENSABLE
    assert found.confirm


@pytest.mark.parametrize(
    "warning", ["This is permanent.", "It cannot be undone.", "All of its data will be lost."]
)
def test_a_warning_in_the_description_is_heeded(warning: str) -> None:
    paths = {"/pets/{id}": {"patch": operation("update_pet", "Update a pet.", description=warning)}}
    assert guess(paths, "PATCH /pets/{id}").reversibility is IRREVERSIBLE


def test_a_parameter_that_makes_a_delete_permanent_counts() -> None:
    permanent = {"name": "permanent", "in": "query", "schema": {"type": "boolean"}}
    summary = "Moves the pet to the trash."
    paths = {"/pets/{id}": {"delete": operation("deletePet", summary, parameters=[permanent])}}
    assert guess(paths, "DELETE /pets/{id}").reversibility is IRREVERSIBLE


def test_an_update_can_be_made_up_for_and_of_a_secret_it_cannot() -> None:
    paths = {
        "/pets/{id}": {"put": operation("updatePet", "Update a pet.")},
        "/secrets/{name}": {"put": operation("updateSecret", "Update a secret.")},
    }
    assert guess(paths, "PUT /pets/{id}").reversibility is COMPENSABLE
    found = guess(paths, "PUT /secrets/{name}")
    assert found.reversibility is IRREVERSIBLE
    assert found.facets["data"] == "restricted"


def test_a_pair_of_opposites_takes_each_other_back() -> None:
    paths = {
        "/pets/{id}/archive": {"post": operation("archive_pet")},
        "/pets/{id}/unarchive": {"post": operation("unarchive_pet")},
    }
    for key, other in (("archive", "unarchive"), ("unarchive", "archive")):
        found = guess(paths, f"POST /pets/{{id}}/{key}")
        assert found.reversibility is REVERSIBLE
        assert found.undo is not None and found.undo.tool == f"api.{other}_pet"


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("addOrUpdatePet", "Add a pet."),
        ("putPet", "Add or update a pet."),
        ("x", "Creates or replaces"),
    ],
)
def test_what_adds_or_overwrites_is_not_taken_back_by_a_delete(name: str, summary: str) -> None:
    paths = {"/pets/{id}": {"put": operation(name, summary), "delete": operation("removePet")}}
    assert guess(paths, "PUT /pets/{id}").reversibility >= COMPENSABLE


def test_people_who_are_told_keep_a_creation_from_being_taken_back_wholly() -> None:
    text = "Create a pet. Sends an email to its owner."
    paths = {
        "/pets": {"post": operation("createPet", "Create a pet.", description=text)},
        "/pets/{id}": {"delete": operation("deletePet")},
    }
    assert guess(paths, "POST /pets").reversibility is COMPENSABLE


# ---- tools of MCP servers --------------------------------------------------------------------


def test_a_tool_is_what_the_first_verb_of_its_name_says() -> None:
    assert guess_tool(tool("slack_get_users", "Get a list.")).reversibility is READ_ONLY
    assert guess_tool(tool("get_pull_request", "Get details.")).reversibility is READ_ONLY
    assert guess_tool(tool("send_email", "Send.", "to")).reversibility is IRREVERSIBLE


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("get_or_create_user", "Get a user."),
        ("get_user", "Deletes a user."),
        ("lookup_and_purge", "Look up."),
        ("wibble", "Get going."),
        ("list_tabs", "List, create, close or select a tab."),
    ],
)
def test_a_reading_name_does_not_hide_a_write(name: str, description: str) -> None:
    found = guess_tool(tool(name, description))
    assert found.reversibility is IRREVERSIBLE or found.confirm


def test_a_tool_without_a_verb_reads_only_where_its_description_opens_so() -> None:
    found = guess_tool(tool("directory_tree", "Get a tree of files."))
    assert found.reversibility is READ_ONLY
    assert found.confirm == ("does it only read?",)
    assert guess_tool(tool("directory_tree", "A tree.")).reversibility is IRREVERSIBLE


@pytest.mark.parametrize("argument", ["sql", "command"])
def test_a_tool_that_runs_what_it_is_given_is_irreversible(argument: str) -> None:
    found = guess_tool(tool("read_query", "Read with a query.", argument))
    assert found.reversibility is IRREVERSIBLE
    assert found.confirm == ("may agents run anything here?",)


def test_a_query_in_sql_is_a_program_and_a_query_in_words_is_not() -> None:
    words = guess_tool(tool("search_notes", "Search notes by text.", "query"))
    assert words.reversibility is READ_ONLY
    database = guess_tool(tool("read_rows", "Read rows with SQL.", "query"))
    assert database.reversibility is IRREVERSIBLE


def test_a_tool_of_many_actions_is_its_gravest() -> None:
    schema = {"type": "object", "properties": {"action": {"type": "string"}}}
    reading = {
        "type": "object",
        "properties": {"action": {"enum": ["list", "get"], "type": "string"}},
    }
    assert guess_tool(tool("get_label", "Get.", inputSchema=schema)).confirm
    assert guess_tool(tool("get_label", "Get.", inputSchema=reading)).reversibility is READ_ONLY
    both = {
        "type": "object",
        "properties": {"action": {"enum": ["list", "delete"], "type": "string"}},
    }
    assert guess_tool(tool("get_label", "Get.", inputSchema=both)).reversibility is IRREVERSIBLE


def test_the_servers_hints_raise_and_never_lower() -> None:
    harmless = {"readOnlyHint": True, "destructiveHint": False}
    found = guess_tool(tool("delete_note", "Delete a note.", annotations=harmless))
    assert found.reversibility is IRREVERSIBLE
    found = guess_tool(tool("get_note", "Get a note.", annotations={"readOnlyHint": False}))
    assert found.reversibility is IRREVERSIBLE
    pair = (tool("add_star", annotations={"destructiveHint": True}), tool("remove_star"))
    assert guess_tool(*pair).reversibility is COMPENSABLE
    found = guess_tool(tool("get_page", "Get a page.", annotations={"openWorldHint": True}))
    assert found.egress


def test_what_a_tool_brings_in_and_carries_out_is_declared() -> None:
    found = guess_tool(tool("read_email", "Read an email.", "id"))
    assert found.taints == ("untrusted_content", "sensitive_data")
    assert not found.egress
    found = guess_tool(tool("send_email", "Send an email.", "to", "subject"))
    assert found.egress
    assert found.target == ("to",)
    assert guess_tool(tool("fetch_page", "Fetch a page.", "url")).egress


words = st.sampled_from("get list wibble delete send note user set of and x".split())


@settings(deadline=None, max_examples=60)
@given(st.lists(words, min_size=1, max_size=4), st.lists(words, max_size=6))
def test_no_name_and_description_that_deletes_is_drafted_as_a_plain_read(
    name: list[str], text: list[str]
) -> None:
    found = guess_tool(tool("_".join(name), " ".join(text)))
    if "delete" in name or "send" in name:
        assert found.reversibility >= COMPENSABLE
    assert found.reversibility is not READ_ONLY or {"get", "list"} & {*name, *text}
