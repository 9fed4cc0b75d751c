"""Headers that repeat the body of an MCP message are made as clients and servers make them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import (
    decode_header_value,
    encode_header_value,
    mcp_param_headers,
    x_mcp_header_map,
)

from interlock.core.mirrors import decode_mirrored, encode_mirrored, mirrored_params

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "where": {"properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}},
        "odd": {"type": "string", "x-mcp-header": "not a token"},
        "many": {"items": {"type": "string", "x-mcp-header": "Item"}},
        "plain": {"type": "string"},
    },
}


@given(st.text(st.characters(codec="utf-8")))
def test_a_value_is_written_and_read_as_the_sdk_does(text: str):
    assert encode_mirrored(text) == encode_header_value(text)
    assert decode_mirrored(encode_mirrored(text)) == text


@given(st.text(st.sampled_from("=?base64QUJD+/ "), max_size=20).map(lambda t: f"=?base64?{t}?="))
def test_what_is_no_canonical_base64_stands_for_nothing(header: str):
    assert decode_mirrored(header) == decode_header_value(header)


@pytest.mark.parametrize(
    "arguments",
    [
        {"region": "eu", "count": 3, "dry": True, "where": {"zone": "a\u00e9"}, "plain": "x"},
        {"region": None, "count": False},
        {"where": "nowhere"},
        {},
    ],
)
def test_arguments_are_mirrored_as_the_sdk_does(arguments: dict[str, object]):
    known = {path: token for path, token in x_mcp_header_map(SCHEMA).items() if " " not in token}

    assert dict(mirrored_params(SCHEMA, arguments)) == mcp_param_headers(known, arguments)
