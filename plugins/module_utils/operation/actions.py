# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a change of a plan can be, in one table: how it is rehearsed, how one sees whether it was made, how it is made and undone.

patch    object{..., uid}, patch[], inverse[] (RFC 6902)
delete   object{..., uid}, preconditions{uid}; manifest where undoing it means to create the object again, else its owner does
create   object{..., uid: ""}, manifest (the whole object); requires[]{object, tests[]}: other objects that it was made for
resize   object{..., uid}, patch[], inverse[] as of patch; replicaset{}, pods[] (resize.py)
restore[]{object, patch[]} of delete and create: what is put back once the object is gone (replicas that an autoscaler has moved, say)

Every function takes the API connection first. ``carry_out`` and ``undo`` raise GateRefused where the objects are not as they must be, and
the API's own error.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch, resize
from ansible_collections.aiops.k8s.plugins.module_utils.operation.marking import (
    APPLIED,
    BEGUN,
    PENDING,
    RACES,
    Change,
    Mark,
    absent,
    name_of,
    patch_marked,
    require_mark,
    without_generation,
)

__all__ = [
    "ACTIONS",
    "APPLIED",
    "BEGUN",
    "PENDING",
    "Action",
    "Change",
    "Mark",
    "bound",
    "marked",
    "name_of",
    "prepare",
    "progress",
    "unmade",
]


class Action(NamedTuple):
    """One kind of change. ``needs``: its keys beside id, object and outcome; ``progress``: pending, begun, applied, or why none of them."""

    needs: tuple[str, ...]
    rights: Callable[[Change], list[tuple[str, Mapping[str, str]]]]
    rehearse: Callable[[Api, Change, dict[str, Any]], Change]
    progress: Callable[[Api, Change, dict[str, Any] | None, Mark, bool], str]
    carry_out: Callable[[Api, Change, Mark], None]
    undo: Callable[[Api, Change, Mark], str]


def prepare(api: Api, change: Change, live: dict[str, Any]) -> tuple[Change, str]:
    """(change with the server's own outcome, reason why the executor may not do it or "").

    A server-side dry run needs the executor's rights; without them the locally computed outcome stays, marked so.
    """
    action = ACTIONS[change["action"]]
    missing = [refusal for verb, subject in action.rights(change) if (refusal := objects.may(api, verb, subject))]
    if missing:
        return change, "; ".join(dict.fromkeys(missing))
    return {**action.rehearse(api, change, live), "dry_run": "server"}, ""


def progress(api: Api, change: Change, mark: Mark, begun: bool) -> str:
    """``pending``, ``begun``, ``applied``, or the sentence that says why none of them. ``begun``: the record says that carrying out was begun."""
    return ACTIONS[change["action"]].progress(api, change, objects.read(api, change["object"]), mark, begun)


def unmade(api: Api, change: Change, mark: Mark) -> bool:
    """Whether the object says that a change was never made: it is there, and not by us. Only good where carrying out has ended before its end."""
    live = objects.read(api, change["object"])
    if live is None:
        return False
    return not absent(change, live) if change["action"] == "delete" else not mark.on(live)


def half_made(api: Api, change: Change, mark: Mark) -> bool:
    """Whether a change of several steps was left between two of them."""
    return bool(resize.parts(change)) and progress(api, change, mark, begun=True) == BEGUN


def bound(change: Mapping[str, Any]) -> bool:
    """Whether a change can only hit the object that it was made for."""
    subject, uid = change["object"], change["object"].get("uid")
    others = [(one, one["patch"]) for one in change.get("restore", [])] + [(one, one["tests"]) for one in change.get("requires", [])]
    others += [(one, one[way]) for one in resize.parts(change) for way in ("patch", "inverse")]
    if not all(one["object"].get("uid") and _guarded(operations, one["object"]["uid"]) for one, operations in others):
        return False
    if change["action"] == "create":
        return bool(uid == "" and objects.reference(change["manifest"]) == subject)
    if change["action"] == "delete":
        return bool(uid) and change["preconditions"].get("uid") == uid
    return bool(uid) and _guarded(change["patch"], uid) and _guarded(change["inverse"], uid)


def marked(manifest: Mapping[str, Any], mark: Mark) -> dict[str, Any]:
    """A manifest with the annotations that tie it to its record."""
    metadata = manifest["metadata"]
    values = patch.mark_values(mark.record, mark.digest, mark.cause)
    return {**manifest, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **values}}}


def _guarded(operations: list[dict[str, Any]], uid: str) -> bool:
    return bool(operations) and operations[0] == {"op": "test", "path": "/metadata/uid", "value": uid}


# patch


def _rehearse_patch(api: Api, change: Change, live: dict[str, Any]) -> Change:
    result = objects.patch(api, change["object"], change["patch"], dry_run=True)
    result = {"apiVersion": live["apiVersion"], "kind": live["kind"], **result}
    return {**change, "outcome": patch.outcome(live, result), "inverse": patch.inverse(live, result)}


def _patch_progress(_api: Api, change: Change, live: dict[str, Any] | None, mark: Mark, _begun: bool) -> str:
    fault = absent(change, live)
    if fault or live is None:
        return fault
    if mark.on(live):
        return APPLIED
    moved = patch.holds(live, change["patch"])
    return f"{name_of(change)} is not as it was: {'; '.join(moved)}" if moved else PENDING


def _patch(api: Api, change: Change, mark: Mark) -> None:
    patch_marked(api, change["object"], change["patch"], mark)


def _undo_patch(api: Api, change: Change, mark: Mark) -> str:
    live = objects.read(api, change["object"])
    if live is None:
        raise GateRefused(f"{change['object']['name']} does not exist any more; nothing is left to undo.")
    if patch.holds(live, change["inverse"]) and not patch.holds(live, without_generation(change["patch"])):
        return "already as before"
    require_mark(change, live, mark)
    patch_marked(api, change["object"], change["inverse"], mark)
    return "undone"


# delete


def _rights_of_delete(change: Change) -> list[tuple[str, Mapping[str, str]]]:
    return [("delete", change["object"]), *(("patch", one["object"]) for one in change.get("restore", []))]


def _rehearse_delete(api: Api, change: Change, live: dict[str, Any]) -> Change:
    if live or not change.get("restore"):  # where it is gone already, only something else is left to be put back
        objects.delete(api, change["object"], change["preconditions"], dry_run=True)
    return change


def _delete_progress(api: Api, change: Change, live: dict[str, Any] | None, _mark: Mark, begun: bool) -> str:
    fault = absent(change, live)
    if begun and (fault or (live and "deletionTimestamp" in live["metadata"])):
        return PENDING if any(_to_restore(api, one) for one in change.get("restore", [])) else APPLIED
    return fault or PENDING


def _delete(api: Api, change: Change, mark: Mark) -> None:
    live = objects.read(api, change["object"])
    if live is not None and not (absent(change, live) and change.get("restore")):  # what is gone, and only not put back yet
        objects.delete(api, change["object"], change["preconditions"], dry_run=False)
    elif live is None and not change.get("restore"):
        raise GateRefused(f"{name_of(change)} does not exist any more.")
    _put_back(api, change, mark)


def _undo_delete(api: Api, change: Change, mark: Mark) -> str:
    if "manifest" not in change:
        return "nothing to undo: the owner has created the pod again"
    live = objects.read(api, change["object"])
    if live is not None and mark.on(live):
        return "already as before"
    if live is not None:
        raise GateRefused(f"{name_of(change)} was created by somebody else meanwhile, so it is left alone.")
    objects.create(api, change["object"], marked(change["manifest"], mark), dry_run=False)
    return "undone"


# create


def _rights_of_create(change: Change) -> list[tuple[str, Mapping[str, str]]]:
    return [("create", change["object"]), *_rights_of_delete(change)]  # whoever makes it must be able to undo it


def _rehearse_create(api: Api, change: Change, _live: dict[str, Any]) -> Change:
    result = objects.create(api, change["object"], change["manifest"], dry_run=True)
    return {**change, "outcome": patch.creation({**change["manifest"], **result})}


def _create_progress(api: Api, change: Change, live: dict[str, Any] | None, mark: Mark, _begun: bool) -> str:
    if live is not None and mark.on(live):
        return APPLIED
    if live is not None:
        return f"{name_of(change)} exists already: somebody created it since"
    for one in change.get("requires", []):
        other = objects.read(api, one["object"])
        moved = patch.holds(other, one["tests"]) if other else ["it does not exist any more"]
        if moved:
            return f"{name_of(one)} is not as it was: {'; '.join(moved)}"
    return PENDING


def _create(api: Api, change: Change, mark: Mark) -> None:
    objects.create(api, change["object"], marked(change["manifest"], mark), dry_run=False)


def _undo_create(api: Api, change: Change, mark: Mark) -> str:
    live = objects.read(api, change["object"])
    for _attempt in range(RACES):
        if live is None:
            break
        require_mark(change, live, mark)
        moved = patch.unlike(change["outcome"], patch.creation(live), "spec")
        if moved:
            raise GateRefused(f"{name_of(change)} was changed since: {'; '.join(moved)}. It is left alone.")
        try:
            guard = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
            objects.delete(api, change["object"], guard, dry_run=False)
            break
        except ApiError as error:  # its controller may write its status in between
            if error.status not in (404, 409):
                raise
            live = objects.read(api, change["object"])
    else:
        raise GateRefused(f"{name_of(change)} was written to {RACES} times while it was to be deleted.", "Try again.")
    restored = _put_back(api, change, mark)
    return "undone" if live is not None or restored else "already as before"


def _put_back(api: Api, change: Change, mark: Mark) -> bool:
    """Put back what the object has moved in others, now that it is gone; whether there was anything to do."""
    left = [one for one in change.get("restore", []) if _to_restore(api, one)]
    for one in left:
        patch_marked(api, one["object"], one["patch"], mark)
    return bool(left)


def _to_restore(api: Api, one: Mapping[str, Any]) -> bool:
    live = objects.read(api, one["object"])
    if live is None or live["metadata"]["uid"] != one["object"]["uid"]:
        return False  # it is gone, and what it was set to with it
    moved = patch.holds(live, one["patch"])
    if moved:
        raise GateRefused(f"{name_of(one)} cannot be put back: {'; '.join(moved)}.")
    return patch.apply(live, one["patch"]) != live


ACTIONS: dict[str, Action] = {
    "patch": Action(
        ("patch", "inverse"), lambda change: [("patch", change["object"])], _rehearse_patch, _patch_progress, _patch, _undo_patch
    ),
    "delete": Action(("preconditions",), _rights_of_delete, _rehearse_delete, _delete_progress, _delete, _undo_delete),
    "create": Action(("manifest",), _rights_of_create, _rehearse_create, _create_progress, _create, _undo_create),
    "resize": Action(
        ("patch", "inverse", "replicaset", "pods"), resize.rights, resize.rehearse, resize.progress, resize.carry_out, resize.undo
    ),
}
