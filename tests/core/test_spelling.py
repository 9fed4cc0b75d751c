"""What the laxest reader makes of a name."""

from __future__ import annotations

import pytest

from interlock.core.spelling import lax, lax_method


@pytest.mark.parametrize(
    "written",
    [
        *("wipe", "Wipe", "WIPE", " wipe", "wipe\n", "wi\u00adpe", "\ufeffwipe", "wipe\u200b"),
        *("ｗipe", "wipe\0", "wipe\0_all", "w\u202eipe"),
    ],
)
def test_names_that_differ_in_what_servers_may_tidy_up_are_one(written: str) -> None:
    assert lax(written) == "wipe"


@pytest.mark.parametrize("written", ["wipe_", "wipes", "w-ipe", "vipe", "wipé", ""])
def test_names_that_differ_in_more_are_not(written: str) -> None:
    assert lax(written) != "wipe"


def test_marks_without_end_take_no_time_and_are_no_other_name() -> None:
    piled = "wipe" + "\u0301" * 100_000

    assert lax(piled) == piled


@pytest.mark.parametrize("written", ["tools/call", "Tools.Call", " tools//call/", "tools\\call\0x"])
def test_a_method_is_its_letters(written: str) -> None:
    assert lax_method(written) == "toolscall"
