"""Bodies and queries: what is wrong is named by its field."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

from jupyter_ext.api.parsing import parse_body, parse_json, parse_query
from jupyter_ext.api.preferences import Preferences
from jupyter_ext.errors import InvalidRequest


class Item(BaseModel):
    size: int = Field(ge=0, le=10)


class Thing(BaseModel):
    name: str
    items: list[Item] = []


class Query(BaseModel):
    limit: int = Field(50, ge=1, le=1000)
    topics: list[str] = []


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(InvalidRequest) as caught:
        parse_body(Thing, b'{"items": [{"size": 1}, {"size": 11}]}')
    assert set(caught.value.fields) == {"name", "items.1.size"}


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"\xff{}",
        b"[1]",
        b'"text"',
        b"NaN",
        b'{"a": Infinity}',
        b"[" * 100_000,
        b'{"a": ' + b"[" * 5_000 + b'"\\u0041"' + b"]" * 5_000 + b"}",
        b'{"a": "\\u0000"}',
        b'{"a": ["\\ud800"]}',
        b'{"\\u0000": 1}',
    ],
    ids=lambda raw: ascii(raw[:12]),
)
def test_what_is_not_json_or_can_not_be_stored_is_refused(raw):
    with pytest.raises(InvalidRequest) as caught:
        parse_body(Thing, raw)
    assert caught.value.fields


def test_a_pair_of_surrogates_is_text():
    assert parse_json(b'"\\ud83d\\ude00"') == "😀"


def test_unknown_names_are_told_not_refused():
    thing, unknown = parse_body(Thing, b'{"name": "a", "nmae": "b"}')
    assert thing.name == "a"
    assert unknown == ["nmae"]


def test_an_empty_body_is_an_empty_object():
    assert parse_json(b" \n") == {}


def test_query_takes_the_last_of_a_name_and_all_of_a_list():
    query, unknown = parse_query(
        Query, {"limit": [b"1", b"2"], "topics": [b"a", b"b"], "token": [b"t"], "lmit": [b"3"]}
    )
    assert query.limit == 2
    assert query.topics == ["a", "b"]
    assert unknown == ["lmit"]


@pytest.mark.parametrize("value", [b"0", b"x", b"\xff", b"1\x00"])
def test_a_bad_argument_is_named(value):
    with pytest.raises(InvalidRequest) as caught:
        parse_query(Query, {"limit": [value]})
    assert list(caught.value.fields) == ["limit"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("respond-async", 0.0),
        ("Respond-Async, wait=10", 10.0),
        ('wait="3"', 3.0),
        ("wait=99999999", 600.0),
        ("wait=x", None),
        ("return=minimal; respond-async", None),
    ],
)
def test_preferences(header, seconds):
    assert Preferences.of(header).seconds == seconds
