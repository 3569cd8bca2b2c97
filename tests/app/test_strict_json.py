"""What counts as JSON at our door."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.errors import BadJson
from app.web.strict_json import DEEPEST, check_whole, is_deeper_than, looks_deeper_than, read_envelope

NOT_JSON = [b"", b'{"a":', b"{'a':1}", b'{"a":1,}', b'{"a":1}//', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":"\xff"}']
NOT_JSON += ['{"a":1}'.encode("utf-16"), b'\xef\xbb\xbf{"a":1}', b'{"a":1} {"b":2}']


@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_json_is_refused_by_both_readers(body: bytes) -> None:
    with pytest.raises(BadJson):
        check_whole(body)
    with pytest.raises(BadJson):
        read_envelope(body)


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":1}', b'{"a":1,"b":2,"a":3}', b'{"a":1, "\\u0061":2}', b'{"prefetch":{"x":1,"x":1}}']
)
def test_a_name_that_stands_twice_is_refused_by_both_readers(body: bytes) -> None:
    for check in (check_whole, read_envelope):
        with pytest.raises(BadJson, match="stands twice"):
            check(body)


@pytest.mark.parametrize("place", ["context", "fhirAuthorization", "prefetch"])
def test_the_envelope_is_looked_at_one_level_down(place: str) -> None:
    with pytest.raises(BadJson, match="stands twice"):
        read_envelope(f'{{"z": [1], "{place}" : {{ "a": {{}}, "b":1, "a": 2 }} }}'.encode())


def test_a_prefetched_resource_is_left_to_its_reader() -> None:
    read_envelope(b'{"prefetch":{"patient":{"resourceType":"Patient","id":"a","id":"b"}}}')


_SPACE = st.sampled_from(["", " ", "\n\t "])
_NAMES = st.sampled_from(["hook", "context", "prefetch", "fhirAuthorization", "extension", "x", "é", "}"])
_SCALARS = st.sampled_from(['"a"', '"}"', '"hook"', '" ,"', "null", "1", "[]", '[{"x": 1, "x": 2}]'])


@st.composite
def _objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    members = draw(st.lists(st.tuples(_NAMES, values), max_size=4))
    space = draw(_SPACE)
    return "{" + ",".join(f'{space}"{name}"{space}:{value}{space}' for name, value in members) + "}"


def _names_by_object(text: str) -> list[list[str]]:
    """The names of the objects that a hook call is looked into for, each as often as it is there."""
    found: list[list[str]] = []

    def note(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        return pairs

    outer = json.loads(text, object_pairs_hook=note)
    found.append([name for name, _ in outer])
    looked_into = ("context", "prefetch", "fhirAuthorization")
    inner = [value for name, value in outer if name in looked_into and isinstance(value, list)]
    found += [[pair[0] for pair in value if isinstance(pair, tuple)] for value in inner]
    return found


@given(_objects(_SCALARS | _objects(_SCALARS)))
def test_members_come_as_they_were_sent_or_a_name_stands_twice(text: str) -> None:
    if any(len(set(names)) < len(names) for names in _names_by_object(text)):
        with pytest.raises(BadJson, match="stands twice"):
            read_envelope(text.encode())
        return
    members = read_envelope(text.encode())
    assert _plain(members) == json.loads(text)


def _plain(sent: object) -> object:
    if isinstance(sent, Mapping):
        return {name: _plain(value) for name, value in sent.items()}
    assert isinstance(sent, Raw)
    return json.loads(bytes(sent))


def test_a_whole_chart_is_looked_at_in_every_object() -> None:
    with pytest.raises(BadJson, match="stands twice"):
        check_whole(b'{"entry":[{"resource":{"id":"a","id":"b"}}]}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"b":{"c":[1,2,{"d":"}"}]}}',
        b' { "a\\"b" : "x" , "c" : null } ',
        '{"ä":"ö"}'.encode(),
        b'{"a":"caf\\u00e9"}',
        b'{"a":["line\\n"],"b":"\\\\"}',
        b"{}",
        b"[]",
        b"3",
    ],
)
def test_plain_json_passes_both_readers(body: bytes) -> None:
    check_whole(body)
    read_envelope(body)


@pytest.mark.parametrize("depth", [DEEPEST + 4, 900, 100_000])
def test_a_body_nested_too_deep_is_refused(depth: int) -> None:
    body = b'{"x":' + b'[{"y":' * (depth // 2) + b"1" + b"}]" * (depth // 2) + b"}"
    for check in (check_whole, read_envelope):
        with pytest.raises(BadJson, match="levels deep"):
            check(body)


@pytest.mark.parametrize(
    ("body", "depth"), [(b"1", 0), (b"[]", 1), (b"[{}]", 2), (b'{"a":[[1],"[[[["]}', 3), (b'["\\"[", {"a\\\\":[]}]', 3)]
)
def test_depth_counts_brackets_outside_of_text(body: bytes, depth: int) -> None:
    assert not is_deeper_than(body, depth)
    assert depth == 0 or is_deeper_than(body, depth - 1)


@pytest.mark.parametrize("text", ["[" * 500, "]" * 500, "{[" * 300, '"[\\"' * 200])
def test_brackets_in_a_text_are_no_levels(text: str) -> None:
    read_envelope(json.dumps({"x": text}).encode())


@given(st.lists(st.sampled_from([b"[", b'{"a":']), max_size=12), st.binary(max_size=0) | st.just(b'"a{b"'))
def test_levels_that_no_text_hides_are_seen_in_the_brackets(opened: list[bytes], inside: bytes) -> None:
    closed = [b"}" if each != b"[" else b"]" for each in reversed(opened)]
    body = b"".join([*opened, inside or b"1", *closed])
    assert not opened or looks_deeper_than(body, len(opened) - 1)


_texts = st.text(alphabet='ab"\\[]{}é\n', max_size=6)
_values = st.recursive(_texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3))


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(_values)
def test_depth_is_that_of_the_value_whatever_its_texts_hold(value: object) -> None:
    for written in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        depth = depth_of(value)
        assert not is_deeper_than(written.encode(), depth)
        assert depth == 0 or is_deeper_than(written.encode(), depth - 1)
