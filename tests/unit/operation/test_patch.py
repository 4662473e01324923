# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Guarded patches: forward gives the desired document, the inverse gives the old one back, and stale ones are refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch
from jsonpatch import JsonPatchConflict, JsonPatchTestFailed

Spec = dict[str, Any]


def document(spec: Spec, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "u1", "name": "x", "generation": 5, **metadata}, "spec": spec}


def containers(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "image": f"{name}:1", **more} for name in names]


PAIRS: dict[str, tuple[Spec, Spec]] = {
    "replace a value": ({"a": {"b": 1}}, {"a": {"b": 2}}),
    "replace by another type": ({"a": 1}, {"a": "1"}),
    "one is not true": ({"a": [1, {"b": 1}]}, {"a": [True, {"b": True}]}),
    "whole and decimal numbers": ({"a": 1.5, "b": 10**12, "c": -3}, {"a": 2.5, "b": 10**12 + 1, "c": 0}),
    "add nested": ({"a": {}}, {"a": {"b": {"c": {"d": [1, 2]}}}}),
    "add below nothing": ({}, {"a": {"b": 1}}),
    "remove": ({"a": 1, "b": 2}, {"a": 1}),
    "remove nested": ({"a": {"b": {"c": 1}}}, {"a": {}}),
    "replace a subtree by a value": ({"a": {"b": 1}}, {"a": None}),
    "null becomes a value": ({"a": None}, {"a": {"b": 1}}),
    "empty key": ({"": 1}, {"": 2}),
    "list: insert in the middle": ({"l": [1, 2, 3]}, {"l": [1, 9, 2, 3]}),
    "list: delete in the middle": ({"l": [1, 2, 3, 4]}, {"l": [1, 4]}),
    "list: insert in front": ({"l": ["b"]}, {"l": ["a", "b"]}),
    "list: append": ({"l": ["a"]}, {"l": ["a", "b", "c"]}),
    "list: empty": ({"l": ["a", "b"]}, {"l": []}),
    "list: reversed": ({"l": [1, 2, 3, 4, 5]}, {"l": [5, 4, 3, 2, 1]}),
    "list: duplicates": ({"l": ["x", "x", "y"]}, {"l": ["x", "y", "y"]}),
    "list of lists": ({"l": [[1], [2]]}, {"l": [[2], [1, 3]]}),
    "moved to another key": ({"a": {"big": [1, 2, 3]}}, {"b": {"big": [1, 2, 3]}}),
    "containers: reordered": ({"c": containers("a", "b", "c")}, {"c": containers("c", "a", "b")}),
    "containers: one removed from the front": ({"c": containers("a", "b")}, {"c": containers("b")}),
    "containers: one inserted in front": ({"c": containers("b")}, {"c": containers("a", "b")}),
    "containers: renamed": ({"c": containers("a", "b")}, {"c": containers("a", "z")}),
    "containers: another changed and one removed": ({"c": containers("a", "b")}, {"c": [{"name": "b", "image": "b:2"}]}),
    "keys with slash and tilde": ({"a/b": {"~x": 1, "y~1": 2}}, {"a/b": {"~x": 2, "y~1": 2, "n/~m": 3}}),
    "keys that look like indices": ({"d": {"0": "a", "1": "b", "-": "c"}}, {"d": {"0": "z", "2": "b", "-": "d"}}),
    "unicode": ({"ключ": "старое", "emoji": "🦊"}, {"ключ": "新しい", "emoji": "🦊🦊", "ñ": "é"}),
    "text with quotes and newlines": ({"s": 'a "b"\n\tc\\'}, {"s": 'a "b"\r\n<&>\u2028'}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_forward_gives_desired_and_inverse_gives_it_back(name: str) -> None:
    before, after = (document(copy.deepcopy(spec)) for spec in PAIRS[name])
    kept = copy.deepcopy((before, after))
    forward, inverse = patch.between(before, after)
    assert (before, after) == kept, "the inputs are left alone"
    for _again in range(2):  # applying must not change the patch itself
        assert exactly(patch.apply(before, forward)["spec"], after["spec"])
        assert exactly(patch.apply(after, inverse)["spec"], before["spec"])
    assert patch.holds(before, forward) == [] and patch.holds(after, inverse) == []
    assert {operation["op"] for operation in [*forward, *inverse]} <= {"test", "add", "remove", "replace"}


@pytest.mark.parametrize("name", PAIRS)
def test_every_value_that_goes_is_tested_just_before(name: str) -> None:
    before, after = (document(copy.deepcopy(spec)) for spec in PAIRS[name])
    for operations in patch.between(before, after):
        for guard, operation in zip([None, *operations], operations):
            if operation["op"] in ("replace", "remove"):
                assert guard is not None and (guard["op"], guard["path"]) == ("test", operation["path"])


def test_equal_documents_give_no_change() -> None:
    forward, inverse = patch.between(document({"a": [1, {"b": 2}]}), document({"a": [1, {"b": 2}]}))
    assert [operation["op"] for operation in [*forward, *inverse]] == ["test", "test", "test"]


def test_identity_is_tested_first_and_the_inverse_ignores_the_generation() -> None:
    forward, inverse = patch.between(document({"a": 1}), document({"a": 2}))
    assert [(one["path"], one["value"]) for one in forward[:2]] == [("/metadata/uid", "u1"), ("/metadata/generation", 5)]
    assert inverse[0]["path"] == "/metadata/uid" and "/metadata/generation" not in [one["path"] for one in inverse]


def test_an_object_without_generation_is_tested_by_uid_only() -> None:
    live = {"metadata": {"uid": "u1"}, "data": {"k": "1"}}
    forward, _inverse = patch.between(live, {"metadata": {"uid": "u1"}, "data": {"k": "2"}})
    assert [one["path"] for one in forward] == ["/metadata/uid", "/data/k", "/data/k"]


def test_elements_addressed_by_index_are_tested_by_name_once() -> None:
    before = document({"c": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}, {"name": "b", "image": "1"}]})
    after = copy.deepcopy(before)
    after["spec"]["c"][0]["env"][1]["value"] = "3"
    after["spec"]["c"][0]["env"][0]["value"] = "3"
    after["spec"]["c"][1]["image"] = "2"
    forward, inverse = patch.between(before, after)
    for operations in (forward, inverse):
        names = {one["path"]: one["value"] for one in operations if one["path"].endswith("/name")}
        assert names == {"/spec/c/0/name": "a", "/spec/c/0/env/0/name": "X", "/spec/c/0/env/1/name": "Y", "/spec/c/1/name": "b"}
        assert len([one for one in operations if one["path"] == "/spec/c/0/name"]) == 1


STALE: list[tuple[str, str, Any, str]] = [
    ("another object of the same name", "/metadata/uid", "u2", "metadata.uid was u1 and is now u2"),
    ("written to since", "/metadata/generation", 6, "metadata.generation was 5 and is now 6"),
    ("the value changed", "/spec/c/0/image", "a:7", "spec.c[a].image was a:1 and is now a:7"),
    ("the value is gone", "/spec/c/0/image", None, "spec.c[a].image was a:1 and is now absent"),
    ("another container at this index", "/spec/c/0/name", "z", "spec.c[z].name was a and is now z"),
]


@pytest.mark.parametrize("what, path, value, sentence", STALE, ids=[row[0] for row in STALE])
def test_a_stale_patch_is_refused_and_says_what_moved(what: str, path: str, value: Any, sentence: str) -> None:
    before = document({"c": containers("a")})
    forward, _inverse = patch.between(before, document({"c": [{"name": "a", "image": "a:2"}]}))
    moved = patch.apply(before, [{"op": "replace", "path": path, "value": value}])
    assert patch.holds(moved, forward)[0] == sentence
    with pytest.raises((JsonPatchTestFailed, JsonPatchConflict)):
        patch.apply(moved, forward)


def test_holds_reports_every_test_and_stops_where_a_step_is_impossible() -> None:
    forward, _inverse = patch.between(document({"a": 1, "b": {"c": 1}}), document({"a": 2, "b": {}}))
    found = patch.holds({"metadata": {"uid": "u9", "generation": 9}, "spec": {}}, forward)
    assert found[:2] == ["metadata.uid was u1 and is now u9", "metadata.generation was 5 and is now 9"]
    assert len(found) >= 3


def test_holds_judges_later_tests_on_the_patched_document() -> None:
    operations = [{"op": "replace", "path": "/spec/a", "value": 2}, {"op": "test", "path": "/spec/a", "value": 2}]
    assert patch.holds(document({"a": 1}), operations) == []


@pytest.mark.parametrize("annotations", [None, {}, {"team": "a"}, {patch.RECORD_ANNOTATION: "old/0001", "a/b~c": "x"}])
def test_marks_are_added_whatever_annotations_there_are(annotations: dict[str, str] | None) -> None:
    live = document({}, resourceVersion="77")
    if annotations is not None:
        live["metadata"]["annotations"] = dict(annotations)
    operations = patch.marks(live, "004/0007", "d" * 64, "why")
    marked = patch.apply(live, operations)
    assert marked["metadata"]["annotations"] == {
        **(annotations or {}),
        "aiops.k8s/record": "004/0007",
        "aiops.k8s/digest": "d" * 64,
        "kubernetes.io/change-cause": "why",
    }
    assert patch.mark_of(marked) == ("004/0007", "d" * 64)
    assert operations[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "77"}


@pytest.mark.parametrize("live", [{}, {"metadata": {}}, {"metadata": {"annotations": None}}, {"metadata": {"annotations": {"x": "y"}}}])
def test_an_unmarked_object_has_no_mark(live: dict[str, Any]) -> None:
    assert patch.mark_of(live) == ("", "")


def exactly(first: Any, second: Any) -> bool:
    """Equal as JSON: 1 is not true, 1 is not "1"."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(exactly(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(exactly, first, second))
    return type(first) is type(second) and bool(first == second)
