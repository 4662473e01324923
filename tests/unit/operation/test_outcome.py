# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an approver reads: every difference between two states, by names, without bookkeeping."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch


def obj(spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", **metadata}, "spec": spec}


CASES: list[tuple[str, Any, Any, list[tuple[str, Any, Any]]]] = [
    ("nothing", {"a": 1}, {"a": 1}, []),
    ("a value", {"replicas": 2}, {"replicas": 3}, [("spec.replicas", 2, 3)]),
    ("added", {}, {"paused": True}, [("spec.paused", None, True)]),
    ("removed", {"paused": True}, {}, [("spec.paused", True, None)]),
    ("a list becomes a value", {"a": ["x"]}, {"a": "x"}, [("spec.a", ["x"], "x")]),
    ("elements lose their names", {"a": [{"name": "x"}]}, {"a": [{"id": "x"}]}, [("spec.a[0].id", None, "x"), ("spec.a[0].name", "x", None)]),
    ("one is not true", {"a": [1]}, {"a": [True]}, [("spec.a[0]", 1, True)]),
    ("by container name", {"c": [{"name": "app", "image": "a:1"}]}, {"c": [{"name": "app", "image": "a:2"}]}, [("spec.c[app].image", "a:1", "a:2")]),
    ("key with a dot", {"l": {"app.io/x": "1"}}, {"l": {"app.io/x": "2"}}, [("spec.l.'app.io/x'", "1", "2")]),
    ("an argument", {"args": ["a", "b"]}, {"args": ["a", "c"]}, [("spec.args[1]", "b", "c")]),
    ("several removed from a list", {"args": ["a", "b", "c", "d"]}, {"args": ["a"]}, [("spec.args", ["a", "b", "c", "d"], ["a"])]),
    ("removed from the front", {"args": ["a", "b", "c"]}, {"args": ["c"]}, [("spec.args", ["a", "b", "c"], ["c"])]),
    ("a container added", {"c": [{"name": "app"}]}, {"c": [{"name": "app"}, {"name": "side"}]}, [("spec.c[side]", None, {"name": "side"})]),
    (
        "a container removed and the next changed",
        {"c": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]},
        {"c": [{"name": "b", "image": "2"}]},
        [("spec.c[a]", {"name": "a", "image": "1"}, None), ("spec.c[b].image", "1", "2")],
    ),
    ("reordered", {"c": [{"name": "a"}, {"name": "b"}]}, {"c": [{"name": "b"}, {"name": "a"}]}, [("spec.c order", ["a", "b"], ["b", "a"])]),
]


@pytest.mark.parametrize("what, before, after, expected", CASES, ids=[row[0] for row in CASES])
def test_outcome(what: str, before: Any, after: Any, expected: list[tuple[str, Any, Any]]) -> None:
    found = patch.outcome(obj(before), obj(after))
    assert [(line["path"], line["before"], line["after"]) for line in found] == expected


def test_bookkeeping_status_and_marks_are_left_out() -> None:
    before = obj({}, resourceVersion="1", generation=1, managedFields=[{}], annotations={"team": "a"})
    after = obj({}, resourceVersion="2", generation=2, managedFields=[{"manager": "aiops.k8s"}])
    after["metadata"]["annotations"] = {"team": "a", "aiops.k8s/record": "r", "aiops.k8s/digest": "d", "kubernetes.io/change-cause": "c"}
    after["status"] = {"replicas": 9}
    assert patch.outcome(before, after) == []


def test_other_annotations_and_labels_count() -> None:
    after = obj({}, annotations={"team": "b"}, labels={"x": "y"})
    paths = [line["path"] for line in patch.outcome(obj({}, annotations={"team": "a"}), after)]
    assert paths == ["metadata.annotations.team", "metadata.labels"]


PRETTY = [
    ("/spec/replicas", "spec.replicas"),
    ("/spec/containers/0/image", "spec.containers[app].image"),
    ("/spec/containers/1", "spec.containers[1]"),
    ("/spec/containers/2/image", "spec.containers[2].image"),
    ("/spec/containers/9/image", "spec.containers[9].image"),
    ("/spec/containers/0/args/1", "spec.containers[app].args[1]"),
    ("/metadata/labels/app.io~1name", "metadata.labels.'app.io/name'"),
    ("/metadata/labels/a~0b", "metadata.labels.a~b"),
    ("/nothing/here/0", "nothing.here.0"),
]


@pytest.mark.parametrize("path, expected", PRETTY)
def test_pretty(path: str, expected: str) -> None:
    document = {"spec": {"containers": [{"name": "app", "args": ["x", "y"]}, {"image": "i"}]}, "metadata": {"labels": {"app.io/name": "w"}}}
    assert patch.pretty(document, path) == expected


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, "absent"),
        ("text", "text"),
        ("", '""'),
        (3, "3"),
        (True, "true"),
        ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}'),
        ("x" * 130, "x" * 120 + "..."),
        ("x" * 120, "x" * 120),
    ],
)
def test_short(value: Any, expected: str) -> None:
    assert patch.short(value) == expected
