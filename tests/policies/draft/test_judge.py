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


AMBIGUOUS = [
    ("/loans/{loan}/return", "returnBook", "Take a book back."),
    ("/orders/{id}/return", "returnOrder", "Return an order."),
    ("/orders/return", "returnOrders", "Returns orders from the list of a customer."),
    ("/cars/{id}/return", "return_car", "Give a rented car back."),
    ("/items/{id}/fetch", "fetchItem", "Have the item brought to the desk."),
    ("/items/{id}/fetch", "fetchItem", "Fetch the item."),
    ("/cars/{id}/get", "getCar", "Get the car from the garage."),
    ("/cars/get", "getCar", "Get a car."),
    ("/loans/{id}/list", "listLoan", "Offer a loan on the market."),
    ("/loans/{id}/list", "listLoan", "List a loan."),
    ("/houses/list", "listHouse", "List a house for sale."),
    ("/houses/{id}/show", "showHouse", "Show a house."),
    ("/offers/{id}/show", "showOffer", "Put the offer on the home page."),
    ("/schedules/{id}/view", "viewSchedule", "View a schedule."),
    ("/parcels/{id}/find", "findParcel", "Find a parcel."),
    ("/rooms/{id}/check-in", "checkIn", "Check a guest in."),
    ("/rooms/{id}/check", "checkRoom", "Check the room."),
    ("/rooms/{id}/checkout", "checkoutRoom", "Check a guest out."),
    ("/cards", "issueCard", "Issue a card."),
    ("/claims", "fileClaim", "File a claim."),
    ("/lots/{id}/draw", "drawLot", "Draw a lot."),
    ("/seats/{id}/hold", "holdSeat", "Hold a seat."),
    ("/books/{book}/loans", "lendBook", "Lend a book to a member."),
]


@pytest.mark.parametrize("method", ["post", "put", "patch"])
@pytest.mark.parametrize(("path", "name", "summary"), AMBIGUOUS)
def test_an_ambiguous_verb_by_an_unsafe_method_is_irreversible_and_asks(
    path: str, name: str, summary: str, method: str
) -> None:
    found = guess({path: {method: operation(name, summary)}}, f"{method.upper()} {path}")
    assert found.reversibility is IRREVERSIBLE
    assert "what does it do?" in found.confirm


@pytest.mark.parametrize(("path", "name", "summary"), AMBIGUOUS)
def test_an_ambiguous_verb_is_not_taken_back_by_a_delete_beside_it(
    path: str, name: str, summary: str
) -> None:
    paths = {
        path: {"post": operation(name, summary), "delete": operation("undo")},
        f"{path}/{{one}}": {"delete": operation("undoOne")},
    }
    found = guess(paths, f"POST {path}")
    assert found.reversibility is IRREVERSIBLE
    assert found.confirm


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("closeCase", "/cases/{id}/close"),
        ("clearCart", "/carts/{id}/clear"),
        ("bookRoom", "/rooms/{id}/book"),
        ("orderMeal", "/meals/{id}/order"),
        ("releaseFunds", "/funds/{id}/release"),
        ("postEntry", "/ledgers/{id}/post"),
    ],
)
def test_a_verb_that_settles_something_is_irreversible(name: str, path: str) -> None:
    found = guess({path: {"post": operation(name)}}, f"POST {path}")
    assert found.reversibility is IRREVERSIBLE


def test_the_first_word_of_a_name_is_its_verb_and_not_a_noun_behind_it() -> None:
    paths = {"/books/{book}/loans": {"post": operation("lendBook", "Lend a book.")}}
    found = guess(paths, "POST /books/{book}/loans")
    assert found.why == ("verb lend is not known",)


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("searchPets", ""),
        ("searchPets", "Search pets by name. Delete those that are old."),
        ("searchPets", "Search pets, book those that are free."),
        ("searchPets", "Pets that are near."),
        ("getPets", "Get pets."),
    ],
)
def test_a_post_is_not_a_read_where_its_description_does_not_agree(
    name: str, description: str
) -> None:
    paths = {"/pets/search": {"post": operation(name, description=description)}}
    if name == "getPets":
        paths = {"/pets/get": paths["/pets/search"]}
    found = guess(paths, f"POST {next(iter(paths))}")
    assert found.reversibility is IRREVERSIBLE


def test_a_list_by_post_is_a_read_where_its_description_or_its_parameters_say_so() -> None:
    text = "Returns a list of pets."
    paths = {"/pets/list": {"post": operation("listPets", "List pets.", description=text)}}
    assert guess(paths, "POST /pets/list").reversibility is READ_ONLY
    cursor = {"name": "cursor", "in": "query", "schema": {"type": "string"}}
    listed = operation("listPets", "List all pets.", parameters=[cursor])
    found = guess({"/pets/list": {"post": listed}}, "POST /pets/list")
    assert found.reversibility is READ_ONLY
    assert found.why == ("POST that reads, by name and description, with cursor",)


def test_a_member_has_rights_only_where_an_admin_word_stands_beside_it() -> None:
    paths = {
        "/members/{id}": {"patch": operation("updateMember", "Update a member.")},
        "/organizations/{id}/members/{member}": {"put": operation("setMember")},
    }
    assert "privilege" not in guess(paths, "PATCH /members/{id}").facets
    found = guess(paths, "PUT /organizations/{id}/members/{member}")
    assert found.facets["privilege"] == "admin"


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


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("return_book", "Take a book back."),
        ("return_order", "Return an order."),
        ("fetch_item", "Have the item brought to the desk."),
        ("fetch_item", "Fetch the item."),
        ("list_loan", "Offer a loan on the market."),
        ("list_house", "List a house."),
        ("show_house", "Show a house."),
        ("check_in_guest", "Check a guest in."),
        ("check_room", "Check the room."),
        ("log_out", "Log out."),
        ("lend_book", "Lend a book."),
    ],
)
def test_a_tool_with_an_ambiguous_verb_is_irreversible(name: str, description: str) -> None:
    found = guess_tool(tool(name, description))
    assert found.reversibility is IRREVERSIBLE
    assert found.confirm == ("what does it do?",)


def test_a_tool_that_lists_data_is_a_read() -> None:
    assert guess_tool(tool("list_pets", "List all pets.")).reversibility is READ_ONLY
    assert guess_tool(tool("fetch_page", "Fetch the text of a page.")).reversibility is READ_ONLY


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
