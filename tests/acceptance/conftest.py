from collections.abc import Iterator

import pytest

from tests.acceptance.world import Gate, Tool, gate, short_folder, with_tool


@pytest.fixture(scope="module")
def the_tool() -> Iterator[Tool]:
    tool = Tool()
    yield tool
    tool.stop()


@pytest.fixture(scope="module")
def the_gate(the_tool: Tool) -> Iterator[Gate]:
    """One Interlock for the tests of a file that do not hurt it."""
    with short_folder() as folder, gate(folder, with_tool(the_tool)) as running:
        yield running


@pytest.fixture
def tool(the_tool: Tool) -> Tool:
    """The tool, with nothing recorded."""
    the_tool.forget()
    return the_tool
