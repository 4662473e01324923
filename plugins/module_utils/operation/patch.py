# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""RFC 6902 patches that refuse to be stale, and their inverse, derived from the same two documents.

A guarded patch tests what it relies on before it changes anything: the object's uid and generation, the name of every list
element that it addresses by index, and every value that it replaces. The API server evaluates the tests and the changes as
one step, so that a plan made for another state of the object cannot be applied.
"""

from __future__ import annotations

import copy
from typing import Any, Iterable, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.errors import library

Document = dict[str, Any]
Operation = dict[str, Any]

RECORD_ANNOTATION = "aiops.k8s/record"
DIGEST_ANNOTATION = "aiops.k8s/digest"
CAUSE_ANNOTATION = "kubernetes.io/change-cause"
_MARKS = (RECORD_ANNOTATION, DIGEST_ANNOTATION, CAUSE_ANNOTATION)
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # kubectl's own note, as large as the object; a snapshot leaves it out
_SERVER_OWNED = ("managedFields", "resourceVersion", "generation")
_OF_ANY = ("uid", "creationTimestamp")


def between(live: Document, desired: Document) -> tuple[list[Operation], list[Operation]]:
    """The guarded patch from live to desired and the guarded inverse. Both documents are whole API objects."""
    document = copy.deepcopy(live)
    forward: list[Operation] = []
    backward: list[list[Operation]] = []
    for change in _plain(library("jsonpatch").make_patch(live, desired).patch, live):
        path, before = change["path"], copy.deepcopy(document)
        if change["op"] == "add":
            forward.append(change)
        else:
            forward += [_test(path, _at(before, path)), change]
        document = apply(document, [change])
        backward.insert(0, _undo(change, before, document))
    names = _names(live, forward)
    undo = [operation for step in backward for operation in step]
    return [*_identity(live, with_generation=True), *names, *forward], [
        *_identity(live, with_generation=False),
        *_names(document, undo),
        *undo,
    ]


def inverse(live: Document, result: Document) -> list[Operation]:
    """The guarded way back from what the server made of a change (its dry run) to the live object.

    The server completes what it is given (defaults of a new probe, 16000m as 16): tests of what was sent would not hold afterwards.
    """
    return between(_meaningful(live), _meaningful(result))[1]


def apply(document: Document, patch: Iterable[Operation]) -> Document:
    """The patched copy. Raises jsonpatch.JsonPatchException when a test fails or a path does not exist."""
    return library("jsonpatch").apply_patch(document, list(patch))  # type: ignore[no-any-return]


def holds(document: Document, patch: Iterable[Operation]) -> list[str]:
    """What a patch's tests find changed, one sentence each: empty when all of them hold.

    Tests that follow a change of the same patch are judged on the patched document, as the API server does.
    """
    moved: list[str] = []
    current = copy.deepcopy(document)
    for operation in patch:
        path = operation["path"]
        if operation["op"] == "test":
            found = _at(current, path)
            if found != operation["value"]:
                moved.append(f"{pretty(current, path)} was {short(operation['value'])} and is now {short(found)}")
        else:
            try:
                current = apply(current, [operation])
            except Exception as error:  # jsonpatch and jsonpointer have no common base class
                moved.append(f"{pretty(current, path)}: {error}")
                break
    return moved


def marks(live: Document, record: str, digest: str, cause: str) -> list[Operation]:
    """Annotations that tie the object to its record, and a test that nobody wrote to it since it was read."""
    values = mark_values(record, digest, cause)
    guard = [_test("/metadata/resourceVersion", live["metadata"]["resourceVersion"])]
    if not live["metadata"].get("annotations"):
        return [*guard, {"op": "add", "path": "/metadata/annotations", "value": values}]
    return [*guard, *({"op": "add", "path": f"/metadata/annotations/{_escape(key)}", "value": value} for key, value in values.items())]


def mark_values(record: str, digest: str, cause: str) -> dict[str, str]:
    """The annotations that tie an object to its record."""
    return {RECORD_ANNOTATION: record, DIGEST_ANNOTATION: digest, CAUSE_ANNOTATION: cause}


def mark_of(live: Document) -> tuple[str, str]:
    """(record, digest) that an object is marked with; empty strings where it is not."""
    annotations = live.get("metadata", {}).get("annotations") or {}
    return annotations.get(RECORD_ANNOTATION, ""), annotations.get(DIGEST_ANNOTATION, "")


def outcome(live: Document, result: Document) -> list[dict[str, Any]]:
    """What changed between two states of an object, as [{path, before, after}], without marks, status and bookkeeping.

    None stands for absent. Elements of a list are told apart by their names; a list without names whose length changes is
    shown as a whole, and so is a new order of names.
    """
    return sorted(_differences("", _meaningful(live), _meaningful(result)), key=lambda line: str(line["path"]))


def creation(result: Document) -> list[dict[str, Any]]:
    """What an object that did not exist consists of, field by field, as [{path, before: None, after}], without what the server adds to any."""
    kept = _meaningful(result)
    kept["metadata"] = {key: value for key, value in kept["metadata"].items() if key not in _OF_ANY}
    return sorted(_leaves("", kept), key=lambda line: str(line["path"]))


def unlike(wanted: list[dict[str, Any]], found: list[dict[str, Any]], below: str) -> list[str]:
    """What differs between two creations under a path, one sentence each."""
    before, after = ({one["path"]: one["after"] for one in lines if one["path"].split(".")[0] == below} for lines in (wanted, found))
    return [
        f"{path} was {short(before.get(path))} and is now {short(after.get(path))}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def pretty(document: Document, path: str) -> str:
    """``/spec/template/spec/containers/0/image`` as ``spec.template.spec.containers[app].image``."""
    parts: list[str] = []
    here: Any = document
    for token in _tokens(path):
        if isinstance(here, list):
            here = here[int(token)] if token.isdigit() and int(token) < len(here) else None
            parts[-1] += f"[{here.get('name', token) if isinstance(here, dict) else token}]"
        else:
            here = here.get(token) if isinstance(here, dict) else None
            parts.append(token if "." not in token else f"'{token}'")
    return ".".join(parts)


def short(value: Any, limit: int = 120) -> str:
    """A value as a person reads it, cut where it grows long."""
    if value is None:
        return "absent"
    text = value if isinstance(value, str) and value else library("json").dumps(value, sort_keys=True)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _differences(path: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            token = key if "." not in key else f"'{key}'"
            yield from _differences(f"{path}.{token}" if path else token, before.get(key), after.get(key))
        return
    if isinstance(before, list) and isinstance(after, list):
        old, new = _by_name(before), _by_name(after)
        if old and new:
            for name in {**old, **new}:
                yield from _differences(f"{path}[{name}]", old.get(name), new.get(name))
            if list(new) != [*(name for name in old if name in new), *(name for name in new if name not in old)]:
                yield {"path": f"{path} order", "before": list(old), "after": list(new)}
            return
        if len(before) == len(after):
            for index, pair in enumerate(zip(before, after)):
                yield from _differences(f"{path}[{index}]", *pair)
            return
    json = library("json")
    if json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True):  # unlike ==, it tells 1 from true
        yield {"path": path, "before": before, "after": after}


def _leaves(path: str, value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict) or not value:
        yield {"path": path, "before": None, "after": value}
        return
    for key in sorted(value):
        token = key if "." not in key else f"'{key}'"
        yield from _leaves(f"{path}.{token}" if path else token, value[key])


def _by_name(items: list[Any]) -> dict[str, Any]:
    """The elements by their names; empty where one has none, or two share one."""
    named = {item["name"]: item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)}
    return named if len(named) == len(items) else {}


def _plain(operations: Iterable[Operation], start: Document) -> list[Operation]:
    """Without move and copy: what is moved is removed and added, so that every step can be tested and undone."""
    plain: list[Operation] = []
    document = copy.deepcopy(start)
    for operation in operations:
        if operation["op"] in ("move", "copy"):
            value = copy.deepcopy(_at(document, operation["from"]))
            steps = [{"op": "add", "path": operation["path"], "value": value}]
            if operation["op"] == "move":
                steps.insert(0, {"op": "remove", "path": operation["from"]})
        else:
            steps = [operation]
        document = apply(document, steps)
        plain += steps
    return plain


def _undo(change: Operation, before: Document, after: Document) -> list[Operation]:
    path = change["path"]
    if change["op"] == "remove":
        return [{"op": "add", "path": path, "value": _at(before, path)}]
    existed = change["op"] == "replace" or (_at(before, path) is not None and not isinstance(_at(before, path.rpartition("/")[0]), list))
    back = {"op": "replace", "path": path, "value": _at(before, path)} if existed else {"op": "remove", "path": path}
    return [_test(path, _at(after, path)), back]


def _identity(live: Document, with_generation: bool) -> list[Operation]:
    metadata = live["metadata"]
    tests = [_test("/metadata/uid", metadata["uid"])]
    if with_generation and "generation" in metadata:
        tests.append(_test("/metadata/generation", metadata["generation"]))
    return tests


def _names(document: Document, operations: Iterable[Operation]) -> list[Operation]:
    tests: dict[str, Operation] = {}
    for operation in operations:
        tokens = _tokens(operation["path"])
        for depth in range(1, len(tokens)):
            path = "".join(f"/{_escape(token)}" for token in tokens[:depth])
            element = _at(document, path)
            if tokens[depth - 1].isdigit() and isinstance(element, dict) and "name" in element and depth < len(tokens):
                tests.setdefault(f"{path}/name", _test(f"{path}/name", element["name"]))
    return list(tests.values())


def _meaningful(document: Document) -> Document:
    kept = {key: value for key, value in copy.deepcopy(document).items() if key != "status"}
    kept["metadata"] = {key: value for key, value in kept["metadata"].items() if key not in _SERVER_OWNED}
    theirs = {key: value for key, value in (kept["metadata"].pop("annotations", None) or {}).items() if key not in (*_MARKS, _APPLIED)}
    if theirs:
        kept["metadata"]["annotations"] = theirs
    return kept


def _test(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": copy.deepcopy(value)}


def _at(document: Any, path: str) -> Any:
    return library("jsonpointer").resolve_pointer(document, path, None)


def _tokens(path: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]


def _escape(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")
