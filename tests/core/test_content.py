"""What two readers could understand differently is refused; everything else is read once."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Body
from interlock.core.content import parse_content, parse_target
from interlock.core.errors import MalformedCall

CANONICAL = {
    "/": "/",
    "/v1/accounts/7/transfers": "/v1/accounts/7/transfers",
    "/bucket/a%20b%2Bc": "/bucket/a b+c",
    "/bucket/gr%C3%BC%C3%9Fe/": "/bucket/grüße/",
    "/bucket/%F0%9F%90%8D": "/bucket/🐍",
    "/a+b/c:d@e=f": "/a+b/c:d@e=f",
    "/a/..b/...c/d.": "/a/..b/...c/d.",
    "/50%25": "/50%",
    "/a%3Bb": "/a;b",
    "/~user/(x)!*'": "/~user/(x)!*'",
}

AMBIGUOUS = [
    "",
    "a",
    "*",
    "http://evil/a",
    "evil:443",
    "//evil.com/admin",
    "/a//b",
    "/a/../admin",
    "/a/./b",
    "/..",
    "/.",
    "/a/%2e%2e/admin",
    "/a/%2E./admin",
    "/a/%252e%252e/admin",
    "/a/%25252e%25252e/admin",
    "/a/.%252e/admin",
    "/a%2f..%2fadmin",
    "/a%2Fb",
    "/a%252fb",
    "/a%5cb",
    "/a%255Cb",
    "/a\\..\\admin",
    "/a#/admin",
    "/a?b#c",
    "/a%00b",
    "/a%2500b",
    "/a%0d%0aX",
    "/a%7f",
    "/a%C2%85b",
    "/a%zz",
    "/a%2",
    "/a%",
    "/a;b",
    "/a/..;/admin",
    "/a/..%3B/admin",
    "/public/;/../admin",
    "/adm\u0131n",
    "/a b",
    "/a\tb",
    "/a\x00b",
    "/%c0%ae%c0%ae/admin",
    "/%ff",
    "/%EF%BC%8E%EF%BC%8E/admin",
    "/a%EF%BC%8Fb",
    "/{a}",
    "/a|b",
    '/a"b',
    "/a<b>",
    "/a[b]",
    "/a^b",
    "/a`b",
]


@pytest.mark.parametrize(("raw", "path"), CANONICAL.items())
def test_a_canonical_path_is_decoded_once(raw, path):
    assert parse_target(raw) == (path, ())


@pytest.mark.parametrize("raw", AMBIGUOUS)
def test_a_path_that_servers_read_differently_is_refused(raw):
    with pytest.raises(MalformedCall) as caught:
        parse_target(raw)
    assert len(caught.value.detail) > 20


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("a=1&b=2", (("a", "1"), ("b", "2"))),
        ("a=1&a=2", (("a", "1"), ("a", "2"))),
        ("delete", (("delete", ""),)),
        ("prefix=a%2Fb&list-type=2", (("prefix", "a/b"), ("list-type", "2"))),
        ("q=a+b%2Bc", (("q", "a b+c"),)),
        ("x=a=b", (("x", "a=b"),)),
        ("filter[name]=x", (("filter[name]", "x"),)),
        ("q=%C3%A9", (("q", "é"),)),
        ("a=1&&b=2&", (("a", "1"), ("b", "2"))),
        ("u=http://x/?y", (("u", "http://x/?y"),)),
        ("k=..%2f..", (("k", "../.."),)),
    ],
)
def test_a_query_is_read_as_form_fields_in_order(query, pairs):
    assert parse_target("/x?" + query) == ("/x", pairs)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "a=1;b=2",
        "a=%zz",
        "a=%ff",
        "=1",
        "a=%00",
        "a b=1",
        "a=é",
        "amount=1&Amount=9999",
        "k=1&%E2%84%AA=2",
        "_method=DELETE",
        "a={x}",
        "&".join(f"f{n}" for n in range(1001)),
    ],
)
def test_an_ambiguous_query_is_refused(query):
    with pytest.raises(MalformedCall):
        parse_target("/x?" + query)


JSON_ACCEPTED = {
    b"{}": {},
    b"[]": [],
    b" [1, 2]\n": [1, 2],
    b'"text"': "text",
    b"null": None,
    b"true": True,
    b"-0": 0,
    b"1e2": 100.0,
    b"1.5": 1.5,
    b"9223372036854775807": 2**63 - 1,
    b"-9223372036854775808": -(2**63),
    b"0.0": 0.0,
    b"0e-999": 0.0,
    b'{"a": {"a": 1}}': {"a": {"a": 1}},
    b'"\\ud83d\\ude00"': "😀",
    b'"\\u0000"': "\0",
    '"é\u2028"'.encode(): "é\u2028",
    b"[" * 32 + b"]" * 32: json.loads("[" * 32 + "]" * 32),
}

JSON_REFUSED = {
    "trailing comma": b"[1,]",
    "comma only": b"[,]",
    "unclosed": b"[1",
    "two values": b"1 2",
    "comment": b"[1] // no",
    "single quotes": b"{'a': 1}",
    "bare key": b"{a: 1}",
    "leading zero": b"012",
    "plus": b"+1",
    "hex": b"0x10",
    "dot without digits": b"1.",
    "dot first": b".5",
    "NaN": b"NaN",
    "nested NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"-Infinity",
    "too large": b"1e999",
    "too large below zero": b"[-1e999]",
    "too small": b"1e-999",
    "65 bits": b"9223372036854775808",
    "many digits": b"1" * 5000,
    "form feed": b"\x0c[1]",
    "no-break space": "\u00a0[1]".encode(),
    "raw newline in text": b'"a\nb"',
    "raw NUL in text": b'"a\0b"',
    "bad escape": b'"\\x41"',
    "short escape": b'"\\u12"',
    "lone high surrogate": b'"\\ud800"',
    "lone low surrogate in a key": b'{"\\uDC00": 1}',
    "surrogates in the wrong order": b'["\\ude00\\ud83d"]',
    "surrogate bytes": b'"\xed\xa0\x80"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "latin-1": b'"\xe9"',
    "overlong": b'"\xc0\xaf"',
    "duplicate key": b'{"amount": 1, "amount": 9999}',
    "duplicate key, escaped": b'{"amount": 1, "\\u0061mount": 9999}',
    "duplicate key, nested": b'[{"a": {"b": 1, "b": 2}}]',
    "case variant": b'{"amount": 1, "Amount": 9999}',
    "Kelvin sign": '{"key": 1, "\u212aey": 2}'.encode(),
    "long s": '{"sum": 1, "\u017fum": 2}'.encode(),
    "sharp s": '{"strasse": 1, "straße": 2}'.encode(),
    "ligature": '{"office": 1, "o\ufb03ce": 2}'.encode(),
    "fullwidth": '{"a": 1, "\uff41": 2}'.encode(),
    "33 deep": b"[" * 33 + b"]" * 33,
    "33 deep, mixed": b'{"a":[' * 17 + b"]}" * 17,
    "100,000 deep": b"[" * 100_000,
    "100,000 deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "whitespace only": b"  ",
}


@pytest.mark.parametrize(("body", "value"), JSON_ACCEPTED.items())
def test_strict_json_is_read(body, value):
    content = parse_content("application/json", body)
    assert (content.kind, content.value) == (Body.JSON, value)


@pytest.mark.parametrize("body", JSON_REFUSED.values(), ids=JSON_REFUSED.keys())
def test_json_that_readers_differ_about_is_refused(body):
    with pytest.raises(MalformedCall) as caught:
        parse_content("application/json", body)
    assert len(caught.value.detail) > 20


def test_a_refused_key_is_named():
    with pytest.raises(MalformedCall, match='"amount" more than once'):
        parse_content("application/json", b'{"amount": 1, "amount": 2}')


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json;",
        "application/vnd.api+json",
        "application/problem+json; profile=x",
        "application/x-amz-json-1.0",
        "application/x-amz-json-1.1",
        "text/json",
    ],
)
def test_every_spelling_of_json_is_json(media_type):
    assert parse_content(media_type, b'{"a": 1}').kind is Body.JSON


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json, text/plain",
        "application/json; charset",
        "application/x-www-form-urlencoded; charset=iso-8859-1",
    ],
)
def test_another_charset_or_an_unreadable_type_is_refused(media_type):
    with pytest.raises(MalformedCall):
        parse_content(media_type, b'"a=1"')


@pytest.mark.parametrize(
    ("media_type", "essence"),
    [
        ("text/plain", "text/plain"),
        ("multipart/form-data; boundary=x", "multipart/form-data"),
        ("application/octet-stream", "application/octet-stream"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/plain; garbage garbage", "text/plain"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_anything_else_is_opaque_even_where_it_looks_like_json(media_type, essence):
    content = parse_content(media_type, b'{"a": 1}')
    assert (content.kind, content.media_type, content.value) == (Body.OPAQUE, essence, None)


def test_an_empty_body_is_none_and_keeps_its_type():
    content = parse_content("application/json", b"")
    assert (content.kind, content.media_type) == (Body.NONE, "application/json")


def test_an_encoded_body_is_opaque():
    assert parse_content("application/json", b"{}", encoding="gzip").kind is Body.OPAQUE
    assert parse_content("application/json", b"{}", encoding="identity").kind is Body.JSON


def test_a_form_is_a_mapping_in_the_order_sent():
    content = parse_content(
        "application/x-www-form-urlencoded", b"Action=RunInstances&Name=a+b%26c&Flag"
    )
    assert content.kind is Body.FORM
    assert list(content.value.items()) == [
        ("Action", "RunInstances"),
        ("Name", "a b&c"),
        ("Flag", ""),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"a=1&A=2",
        b"a=1;b=2",
        b"a=%zz",
        b"a=\xff",
        b"a=1\nb=2",
        b"_method=PUT",
        b"\xef\xbb\xbfa=1",
    ],
)
def test_an_ambiguous_form_is_refused(body):
    with pytest.raises(MalformedCall):
        parse_content("application/x-www-form-urlencoded", body)


@given(
    st.binary(max_size=200),
    st.sampled_from(["application/json", "text/plain", "", ";", "a/b+json"]),
)
def test_any_bytes_end_in_a_reading_or_a_refusal(body, media_type):
    try:
        content = parse_content(media_type, body)
    except MalformedCall:
        return
    assert isinstance(content.kind, Body)


keys = st.text(st.characters(codec="utf-8"), max_size=8)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=10,
)


@given(documents, st.booleans())
def test_what_is_accepted_is_what_the_standard_reader_sees(document, ascii_only):
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    try:
        content = parse_content("application/json", body)
    except MalformedCall as refused:
        assert "which some readers take for one" in refused.detail
        return
    assert content.value == document


@given(st.text(max_size=60))
def test_any_target_ends_in_a_reading_that_decodes_to_itself_or_a_refusal(raw):
    try:
        path, _ = parse_target("/" + raw)
    except MalformedCall:
        return
    assert path == unquote("/" + raw.partition("?")[0], errors="strict")
    assert ".." not in path.split("/")
    assert "//" not in path


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1), min_size=1
    )
)
def test_an_encoded_path_of_ordinary_text_reads_back_or_is_refused(segments):
    raw = "/" + "/".join(quote(segment, safe="") for segment in segments)
    try:
        path, _ = parse_target(raw)
    except MalformedCall:
        return
    assert path == "/" + "/".join(segments)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    )
)
def test_an_encoded_query_reads_as_the_standard_reader_does(fields):
    query = urlencode(fields)
    _, pairs = parse_target("/?" + query if query else "/")
    assert list(pairs) == parse_qsl(query, keep_blank_values=True) == list(fields.items())
