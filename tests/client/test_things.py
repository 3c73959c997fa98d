from __future__ import annotations

import copy
import json
import pickle

import pytest

from jupyter_ext.client.things import Thing, page


def test_fields_are_attributes_and_keys() -> None:
    container = Thing({"id": "c1", "state": {"pid": 7}, "mounts": [{"host_path": "/x"}]})
    assert container.id == container["id"] == "c1"
    assert container.state.pid == 7
    assert container.mounts[0].host_path == "/x"
    assert json.loads(json.dumps(container)) == container


def test_an_unknown_field_names_those_that_there_are() -> None:
    with pytest.raises(AttributeError, match="only: id, name"):
        _ = Thing({"name": "web", "id": 1}).nmae


def test_it_can_be_copied_and_pickled() -> None:
    container = Thing({"id": "c1", "state": {"pid": 7}})
    assert copy.deepcopy(container).state.pid == 7
    assert pickle.loads(pickle.dumps(container)).state.pid == 7  # noqa: S301


@pytest.mark.parametrize(
    "body",
    [
        {"total": 9, "items": [{"id": 1}]},
        {"api_keys": [{"id": 1}], "total": 9, "limit": 1, "offset": 0},
    ],
)
def test_a_page_knows_the_whole(body: dict[str, object]) -> None:
    found = page(body)
    assert [item.id for item in found] == [1]
    assert found.total == 9
