"""JSON Patch: each operation, and each way in which one is refused, with its place."""

import pytest

from libs.fhir.body import dump, parse
from libs.fhir.json_patch import PatchError, apply

DOCUMENT = {"name": [{"given": ["a", "b"]}, {"family": "c"}], "active": True, "a/b": {"~": 1}}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "add", "path": "/name/0/given/1", "value": "x"}, {"name": [{"given": ["a", "x", "b"]}, {"family": "c"}]}),
        ({"op": "add", "path": "/name/0/given/-", "value": "x"}, {"name": [{"given": ["a", "b", "x"]}, {"family": "c"}]}),
        ({"op": "add", "path": "/gender", "value": "male"}, {"gender": "male"}),
        ({"op": "remove", "path": "/name/0"}, {"name": [{"family": "c"}]}),
        ({"op": "replace", "path": "/active", "value": False}, {"active": False}),
        ({"op": "replace", "path": "/name/1/family", "value": "d"}, {"name": [{"given": ["a", "b"]}, {"family": "d"}]}),
        ({"op": "move", "from": "/name/1", "path": "/name/0"}, {"name": [{"family": "c"}, {"given": ["a", "b"]}]}),
        ({"op": "copy", "from": "/active", "path": "/a~1b/x"}, {"a/b": {"~": 1, "x": True}}),
        ({"op": "test", "path": "/a~1b/~0", "value": 1.0}, {}),
    ],
)  # fmt: skip
def test_an_operation_changes_a_copy(operation, changed):
    assert apply(DOCUMENT, [operation]) == {**DOCUMENT, **changed}
    assert DOCUMENT["name"] == [{"given": ["a", "b"]}, {"family": "c"}]


@pytest.mark.parametrize(
    ("operation", "place", "is_malformed"),
    [
        (7, "operation[1].op", True),
        ({"op": "change", "path": "/active"}, "operation[1].op", True),
        ({"op": ["add"], "path": "/active"}, "operation[1].op", True),
        ({"op": "add", "path": "/active"}, "operation[1].value", True),
        ({"op": "move", "path": "/active"}, "operation[1].from", True),
        ({"op": "remove", "path": "active"}, "operation[1].path", True),
        ({"op": "remove", "path": "/a~2"}, "operation[1].path", True),
        ({"op": "remove", "path": ""}, "operation[1].path", True),
        ({"op": "move", "from": "/name", "path": "/name/0"}, "operation[1].path", True),
        ({"op": "remove", "path": "/nothing"}, "operation[1].path", False),
        ({"op": "replace", "path": "/name/2", "value": {}}, "operation[1].path", False),
        ({"op": "add", "path": "/name/3", "value": {}}, "operation[1].path", False),
        ({"op": "add", "path": "/name/01", "value": {}}, "operation[1].path", False),
        ({"op": "test", "path": "/active", "value": 1}, "operation[1].value", False),
        ({"op": "test", "path": "/name/0/given", "value": ["b", "a"]}, "operation[1].value", False),
    ],
)
def test_what_cannot_be_done_is_told_with_its_place(operation, place, is_malformed):
    with pytest.raises(PatchError) as refused:
        apply(DOCUMENT, [{"op": "test", "path": "/active", "value": True}, operation])
    assert (refused.value.issue.expression, refused.value.is_malformed) == (place, is_malformed)


def test_what_is_no_list_is_no_patch():
    with pytest.raises(PatchError):
        apply(DOCUMENT, {"op": "remove", "path": "/active"})


def test_numbers_keep_their_digits():
    document = parse(b'{"value":1.10,"other":2.50}')
    patched = apply(document, [{"op": "move", "from": "/value", "path": "/moved"}])
    assert dump(patched) == b'{"other":2.50,"moved":1.10}'
