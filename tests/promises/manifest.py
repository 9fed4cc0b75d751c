"""What Interlock promises, and what keeps it: the list that tests and documentation agree on.

A promise is kept by every test named `test_promise_NN_...`, wherever it is, and by those named in
`also`. What is not built yet is `later`, with a note; a note on a kept promise says what is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """`also` are tests under other names, as path::name; `note` says what is still missing."""

    number: int
    text: str
    also: tuple[str, ...] = ()
    later: bool = False
    note: str = ""


EXPLORER = "tests/store/test_explorer.py::test_no_interleaving_breaks_the_shipped_script"
HISTORIES = "tests/core/test_lifecycle.py::test_no_history_sends_twice_or_without_clearance"
LIVES = "tests/store/test_stateful.py::test_no_random_life_tells_the_store_and_the_core_apart"
KILLED = "tests/acceptance/test_kill.py::"

PROMISES: tuple[Promise, ...] = (
    Promise(1, "What you approve is what is sent; a tampered store means no send."),
    Promise(2, "The page shows everything, or approve is disabled."),
    Promise(3, "No invisible character is invisible."),
    Promise(4, "Agent text never runs and never draws interface."),
    Promise(5, "An edit voids every earlier vote and is judged again.", (HISTORIES, LIVES)),
    Promise(6, "A decision names the digest and version it saw; stale is refused."),
    Promise(7, "No agent credential reaches a decision."),
    Promise(
        8,
        "A person counts once; the requester and the agent's owner never count.",
        (HISTORIES, EXPLORER),
    ),
    Promise(
        9,
        "Nobody can widen the approvers or lower the level of a waiting call.",
        note="who can write to the store can bring an escalation that policy names forward",
    ),
    Promise(10, "Another site's page cannot decide."),
    Promise(11, "Step-up signatures fit one decision and one use."),
    Promise(12, "Break-glass is its own role, recorded, alarmed.", later=True, note="no such role"),
    Promise(
        13,
        "At most one send per approval.",
        (
            EXPLORER,
            HISTORIES,
            KILLED + "test_killed_while_it_is_being_sent_the_tool_saw_it_once_and_it_is_unknown",
        ),
        note="on one store; durability `replicated` (WAIT on the claim) is not built",
    ),
    Promise(
        14,
        "The HTTP client never sends again by itself.",
        ("tests/upstream/test_http.py::test_the_client_alone_would_have_sent_it_twice",),
    ),
    Promise(
        15,
        "A lost reply from the store changes nothing.",
        ("tests/store/test_connection.py::test_a_lost_reply_changes_nothing",),
    ),
    Promise(
        16,
        "Not sent, answered and unknown are told apart and never guessed.",
        (
            "tests/upstream/test_http.py::"
            "test_every_error_of_the_client_is_not_sent_or_unknown_and_the_list_is_known",
        ),
    ),
    Promise(
        17,
        "Unknown is retried only for an upstream declared idempotent.",
        note="nothing is ever retried yet: upstreams cannot be declared idempotent",
    ),
    Promise(18, "Final states are final; each action reaches exactly one.", (EXPLORER, LIVES)),
    Promise(19, "Expired holds and lapsed approvals are never sent.", (EXPLORER,)),
    Promise(20, "The same Idempotency-Key is the same call; other content is 422."),
    Promise(
        21,
        "Holds survive kill -9 of proxy and store; waiting agents can attach again.",
        (
            KILLED + "test_killed_after_the_hold_is_written_the_agents_retry_joins_it",
            KILLED + "test_a_hold_and_its_waiting_caller_survive_kill_9_of_the_store",
        ),
        note="fsync `always`; with `everysec`, kill -9 of the store can lose its last moment",
    ),
    Promise(22, "No wake-up is needed for correctness."),
    Promise(
        23,
        "SIGTERM loses no result and starts no send.",
        (
            "tests/acceptance/test_bad_days.py::"
            "test_sigterm_finishes_what_is_in_flight_and_keeps_what_is_held",
        ),
    ),
    Promise(24, "Store down, full, read-only, slow or evicting: nothing is sent."),
    Promise(25, "No record, no action."),
    Promise(
        26,
        "Any error in parsing, policy or rendering is a refusal.",
        (
            "tests/core/test_evaluate.py::test_an_error_while_judging_is_a_refusal",
            "tests/ingress/test_http.py::test_an_unexpected_error_is_a_refusal",
        ),
    ),
    Promise(
        27,
        "A broken policy file changes nothing; start-up without a valid one fails.",
        (
            "tests/acceptance/test_bad_days.py::test_a_broken_policy_keeps_interlock_from_starting",
            "tests/test_reload.py::test_a_broken_file_changes_nothing_and_is_told_with_every_place",
            "tests/test_reload.py::test_a_policy_whose_companion_tests_fail_is_not_taken",
        ),
    ),
    Promise(
        28,
        "Unknown route, tool, method or content type is never allowed silently.",
        (
            "tests/core/test_evaluate.py::test_an_unknown_call_is_never_allowed",
            "tests/acceptance/test_bad_input.py::"
            "test_an_unknown_method_of_a_known_path_waits_for_a_person",
        ),
    ),
    Promise(
        29,
        "The proxy refuses to start on weak ground.",
        (
            "tests/test_doctor.py::test_a_program_that_cannot_be_trusted_does_not_start",
            "tests/test_doctor.py::test_a_store_that_loses_holds_is_refused",
        ),
    ),
    Promise(
        30,
        "Policy and upstream see the same request: ambiguity is refused, not repaired.",
        (
            "tests/acceptance/test_bad_input.py::test_an_ambiguous_target_is_refused_not_repaired",
            "tests/acceptance/test_bad_input.py::test_ambiguous_framing_is_refused",
            "tests/core/test_content.py::test_what_is_accepted_is_what_the_standard_reader_sees",
        ),
    ),
    Promise(
        31,
        "Redirects, upgrades and tunnels are never followed.",
        ("tests/upstream/test_http_bytes.py::test_a_redirect_is_returned_and_not_followed",),
    ),
    Promise(
        32,
        "The address connected to is the address checked.",
        (
            "tests/test_reach.py::test_an_answer_passes_whole_or_not_at_all",
            "tests/upstream/test_http_bytes.py::"
            "test_the_address_connected_to_is_the_address_checked_each_time",
        ),
    ),
    Promise(
        33,
        "No header, cookie or credential passes unless listed.",
        (
            "tests/upstream/test_http_bytes.py::"
            "test_a_cookie_of_one_call_is_not_sent_with_the_next",
            "tests/ingress/test_wire.py::"
            "test_an_agents_own_credential_passes_only_where_it_is_listed",
        ),
    ),
    Promise(
        34,
        "Memory, time, connections, metric series and holds per agent are bounded.",
        (
            "tests/observe/test_metrics.py::test_no_agent_can_make_a_series",
            "tests/store/test_redis.py::test_one_agent_can_hold_only_so_many_calls",
            "tests/acceptance/test_bad_input.py::"
            "test_an_oversized_body_is_refused_before_it_is_read",
        ),
        note="slow clients and floods are not tried",
    ),
    Promise(
        35,
        "Policy evaluation takes linear time.",
        (
            "tests/policies/test_expressions.py::test_a_hostile_regex_takes_no_time",
            "tests/policies/test_expression_bounds.py::test_what_is_too_much_to_look_at_is_doubt",
            "tests/core/test_provenance.py::test_a_long_request_is_searched_in_bounded_steps",
            "tests/core/test_marks.py::test_a_body_or_a_path_with_such_a_name_is_refused",
            "tests/core/test_matching.py::test_finding_looks_only_at_entries_whose_path_fits",
        ),
    ),
    Promise(
        36,
        "One agent's flood cannot hide or delay another's call.",
        (
            "tests/store/test_redis.py::test_the_queue_lists_the_gravest_first_and_then_the_oldest",
            "tests/store/test_redis.py::"
            "test_a_flood_of_grave_calls_of_one_agent_hides_no_call_of_another",
            "tests/approvals/test_listing.py::"
            "test_a_share_gives_every_agent_room_and_says_what_it_left_out",
        ),
        note="delay under a flood is not measured",
    ),
    Promise(37, "Each transition has one record, in order, without a gap.", (EXPLORER, LIVES)),
    Promise(38, "Any change of the record is found.", later=True, note="no `interlock audit` yet"),
    Promise(39, "A receipt verifies offline.", later=True, note="no receipts yet"),
    Promise(
        40,
        "Secrets never appear in logs, metrics, records, pages or errors.",
        (
            "tests/upstream/test_credentials.py::test_a_secret_is_never_printed",
            "tests/observe/test_logging.py::test_what_aiohttp_could_not_parse_is_not_logged",
        ),
        note="one canary through every sink is not tried",
    ),
    Promise(41, "Metrics never lie: outcomes add up to calls; gauges equal the store."),
    Promise(42, "This list, the tests and the planted faults agree."),
    Promise(
        43,
        "Writing to the store forges nothing.",
        note="how often a grant was used is the store's word, and that it was taken back",
    ),
    Promise(
        44,
        "Cancelling is confirmed.",
        ("tests/ingress/test_http.py::test_cancelling_answers_only_once_the_call_is_fenced",),
    ),
)

FAULTED = frozenset({1, 5, 11, 13, 15, 19, 24, 25, 27, 28, 30, 37, 43})
"""Promises whose tests are run against a planted fault, in `test_promise_NN_..._would_be_noticed`;
the explorer plants more (`tests/store/explorer.py`, FAULTS)."""
