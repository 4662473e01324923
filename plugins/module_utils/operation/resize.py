# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Resizes the live pods of a Deployment in place (pods/resize) and keeps its template in step, without a rollout.

A change has, beside what a patch of the Deployment's template has (object, patch[], inverse[]):

replicaset  {object, patch[], inverse[]}: the ReplicaSet of the pods, whose template is changed as well
pods[]      {object, patch[], inverse[]}: the pods, by uid
sizes       {container: {before, after}}: the resources of the template

The Deployment's controller rolls out whatever no ReplicaSet has as its template. So the Deployment is paused, the ReplicaSet's template is
changed, and one patch changes the Deployment's template and ends the pause. In between, the controller is waited for: it has to have seen the
pause, and that no ReplicaSet fits. Then each pod is resized. Each step is seen in the objects, so a killed run goes on, or back, from any.

Raises GateRefused where the objects are not as they must be or the controller does not answer, and the API's own error.
"""

from __future__ import annotations

import copy
import time
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects, workload
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch
from ansible_collections.aiops.k8s.plugins.module_utils.operation.marking import (
    APPLIED,
    BEGUN,
    PENDING,
    Change,
    Mark,
    absent,
    name_of,
    patch_marked,
    require_mark,
    without_generation,
)

Object = dict[str, Any]
Operations = list[dict[str, Any]]
HASH = "pod-template-hash"
CONTROLLER = 30.0  # seconds for which the Deployment's controller is waited for at each step
_LOOK = 0.05
_SPECS = ("spec", "template", "spec")
_PAUSED: Object = {"op": "test", "path": "/spec/paused", "value": True}


def parts(change: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a change patches beside its object: nothing, but for a resize."""
    return [change["replicaset"], *change["pods"]] if change["action"] == "resize" else []


def rights(change: Change) -> list[tuple[str, Mapping[str, str]]]:
    """What the executor has to be allowed to do."""
    pod = change["pods"][0]["object"]
    return [("patch", change["object"]), ("patch", change["replicaset"]["object"]), ("patch", _resized(pod)), ("list", pod)]


def make(change: Change, live: Mapping[str, Any], desired: Mapping[str, Any], replicaset: Object, pods: Sequence[Object]) -> Change:
    """The change that resizes, from the one that patches the template; the caller has asked resizing.refusal() whether it can be."""
    sizes = {
        name: {"before": before, "after": after}
        for name, (before, after) in _pairs(live["spec"]["template"]["spec"], desired["spec"]["template"]["spec"]).items()
        if before != after
    }
    follower = _part(replicaset, _with(replicaset, sizes, "after", _SPECS))
    resized = [_part(pod, _with(pod, sizes, "after", ("spec",), own=True)) for pod in pods]
    made = {**change, "action": "resize", "replicaset": follower, "pods": resized, "sizes": sizes}
    return {**made, "outcome": [*change["outcome"], *_lines([(one, patch.apply(one, part["patch"])) for one, part in zip(pods, resized)])]}


def rehearse(api: Api, change: Change, live: Object) -> Change:
    """The server's own outcome of every part. Its spelling of quantities is kept, so that both templates become the same bytes."""
    result = objects.patch(api, change["object"], change["patch"], dry_run=True)
    result = {"apiVersion": live["apiVersion"], "kind": live["kind"], **result}
    forward, _inverse = patch.between(live, {**live, "spec": {**live["spec"], "template": result["spec"]["template"]}})
    follower, _seen = _rehearsed(api, change["replicaset"], change["replicaset"]["object"])
    tried = [_rehearsed(api, one, _resized(one["object"])) for one in change["pods"]]
    return {
        **change,
        "patch": forward,
        "inverse": patch.inverse(live, result),
        "replicaset": follower,
        "pods": [one for one, _seen in tried],
        "outcome": [*patch.outcome(live, result), *_lines([seen for _one, seen in tried])],
    }


def progress(api: Api, change: Change, live: Object | None, mark: Mark, _begun: bool) -> str:
    """Where it stands. Objects that were changed since are found here, before anything is written."""
    fault = absent(change, live)
    if fault or live is None:
        return fault
    pods = _pods(api, change, live)
    if mark.on(live):
        return APPLIED if _complete(api, change, live, pods) else BEGUN
    here = {pod["metadata"]["uid"]: pod for pod in pods}
    seen = [(change, live), (change["replicaset"], objects.read(api, change["replicaset"]["object"]))]
    seen += [(one, here.get(one["object"]["uid"])) for one in change["pods"]]
    moved = [f"{name_of(one)} is not as it was: {'; '.join(found)}" for one, there in seen if (found := _moved(there, one["patch"]))]
    known = {one["object"]["uid"] for one in change["pods"]}
    moved += [f"pod/{pod['metadata']['name']} came since" for uid, pod in here.items() if uid not in known]
    return "; ".join(moved) or PENDING


def carry_out(api: Api, change: Change, mark: Mark) -> None:
    """Make it, or go on with what a killed run has begun."""
    live = _live(api, change)
    if not mark.on(live) or not _holds(live, change["inverse"]):  # else the template is changed already
        _swap(api, change, mark, "patch")
    for one in change["pods"]:
        _resize(api, one["object"], one["patch"], one["inverse"])


def undo(api: Api, change: Change, mark: Mark) -> str:
    """Set template and pods back, those too that came since; by a rollout where somebody's rollout has replaced the pods meanwhile."""
    live = _live(api, change)
    if not mark.on(live) and _holds(live, without_generation(change["patch"])):
        return "already as before"
    require_mark(change, live, mark)
    if _replaced(api, change, live):
        if _holds(live, without_generation(change["patch"])):
            return "already as before"
        patch_marked(api, change["object"], change["inverse"], mark)
        return "undone by a rollout: another one has replaced the pods since"
    moved = _swap(api, change, mark, "inverse")
    known, faults = {one["object"]["uid"]: one for one in change["pods"]}, []
    for pod in _pods(api, change, live):
        backward, forward = _back(pod, known.get(pod["metadata"]["uid"]), change["sizes"])
        try:
            moved = (bool(backward) and _resize(api, objects.reference(pod), backward, forward)) or moved
        except GateRefused as error:
            faults.append(error.message)
    if faults:
        raise GateRefused(f"{' '.join(faults)} It is left alone; everything else is undone.")
    return "undone" if moved else "already as before"


def pod_resources(sizes: Mapping[str, Mapping[str, Any]], which: str, name: str, own: Mapping[str, Any]) -> Object:
    """What a container of a live pod has when its template has ``before`` or ``after`` (``which``).

    A pod may have more than its template says: a request that was copied from its limit, defaults of a LimitRange.
    """
    target = sizes[name][which]
    limits = {**own.get("limits", {}), **target.get("limits", {})}
    asked = target.get("requests", {})
    copied = {resource: limit for resource, limit in target.get("limits", {}).items() if resource not in asked}
    return (
        {**own, "limits": limits, "requests": {**own.get("requests", {}), **copied, **asked}} if limits or own.get("requests") else target
    )


# the template, without a rollout


def _swap(api: Api, change: Change, mark: Mark, way: str) -> bool:
    """Take both templates one ``way`` (patch or inverse), from wherever a killed run has left them; whether there was anything to do."""
    live, follower = _live(api, change), change["replicaset"]
    there = _holds(live, without_generation(change["inverse" if way == "patch" else "patch"]))
    paused = bool(live["spec"].get("paused"))
    if there and not paused:
        return False
    if paused and not (mark.on(live) and (there or way == "patch" or _cause(live) == mark.cause)):
        raise GateRefused(
            f"{name_of(change)} was paused by somebody else, so its template is left alone.", "End the pause, then try again."
        )
    if not paused:
        tests = [one for one in change[way] if one["op"] == "test"]
        patch_marked(api, change["object"], [*tests, {"op": "add", "path": "/spec/paused", "value": True}], mark)
    _await(api, change, "has not taken note of the pause", lambda seen: True)
    if not _holds(_read(api, follower), follower["inverse" if way == "patch" else "patch"]):
        patch_marked(api, follower["object"], follower[way], mark)
    end = [_PAUSED, {"op": "remove", "path": "/spec/paused"}]
    if there:  # the Deployment itself was not changed yet when the run was killed
        if not _unlike(live, [], _read(api, follower)):  # else somebody changed it meanwhile, and that is rolled out now, as they wanted
            _await(api, change, "does not find the ReplicaSet again", lambda seen: seen["status"].get("updatedReplicas", 0) > 0)
        patch_marked(api, change["object"], [*change["inverse"][:1], *end], mark)
        return True
    _await(api, change, "has not seen the new template of the ReplicaSet", lambda seen: not seen["status"].get("updatedReplicas"))
    operations = [*without_generation(change[way]), *end]

    def same(seen: Object) -> list[str]:
        return _unlike(seen, operations, _read(api, follower)) if way == "patch" else []  # going back never leaves it paused

    patch_marked(api, change["object"], operations, mark, same)
    return True


def _await(api: Api, change: Change, what: str, seen: Callable[[Object], bool]) -> None:
    """Wait until the Deployment's controller has seen its newest generation, and says this besides."""
    end = time.monotonic() + CONTROLLER
    while True:
        live = _live(api, change)
        if live.get("status", {}).get("observedGeneration", 0) >= live["metadata"].get("generation", 0) and seen({"status": {}, **live}):
            return
        if time.monotonic() > end:
            raise GateRefused(f"The controller of {name_of(change)} {what} within {CONTROLLER:.0f} s.", "Check kube-controller-manager.")
        time.sleep(_LOOK)


def _unlike(live: Object, operations: Operations, replicaset: Object) -> list[str]:
    """Whether ending the pause would start a rollout: somebody changed one of the templates otherwise meanwhile."""
    ours, theirs = patch.apply(live, operations)["spec"]["template"], copy.deepcopy(replicaset["spec"]["template"])
    theirs["metadata"].get("labels", {}).pop(HASH, None)
    return [] if ours == theirs else ["its template was changed otherwise while it was paused, so that a rollout would start"]


def _replaced(api: Api, change: Change, live: Object) -> bool:
    """Whether the pods are of another ReplicaSet by now."""
    if live["spec"].get("paused"):
        return False
    found = objects.read(api, change["replicaset"]["object"])
    same = found is not None and found["metadata"]["uid"] == change["replicaset"]["object"]["uid"]
    return not (found and same and not _unlike(live, [], found))


def _complete(api: Api, change: Change, live: Object, pods: Sequence[Object]) -> bool:
    follower = objects.read(api, change["replicaset"]["object"])
    wanted = {one["object"]["uid"]: one["inverse"] for one in change["pods"]}
    return bool(
        not live["spec"].get("paused")
        and _holds(live, change["inverse"])
        and (follower is None or _holds(follower, change["replicaset"]["inverse"]))
        and all(_holds(pod, wanted[pod["metadata"]["uid"]]) for pod in pods if pod["metadata"]["uid"] in wanted)
    )


# the pods


def _pods(api: Api, change: Change, live: Object) -> list[Object]:
    """The live pods of the ReplicaSet, but those that are being deleted or have ended."""
    query = {"labelSelector": workload.selector_of(live["spec"]["selector"])}
    owner = change["replicaset"]["object"]["uid"]
    return [
        {"apiVersion": "v1", "kind": "Pod", **pod}
        for pod in api.pages(f"/api/v1/namespaces/{segment(change['object']['namespace'])}/pods", query)
        if any(one["uid"] == owner for one in pod["metadata"].get("ownerReferences", []))
        and "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]


def _resize(api: Api, subject: Mapping[str, str], operations: Operations, opposite: Operations) -> bool:
    """Resize one pod; whether there was anything to do. One that is gone has a successor of the new template."""
    live = objects.read(api, subject)
    if live is None or live["metadata"]["uid"] != subject["uid"] or "deletionTimestamp" in live["metadata"] or _holds(live, opposite):
        return False
    moved = patch.holds(live, operations)
    if moved:
        raise GateRefused(f"{name_of({'object': subject})} is not as it was: {'; '.join(moved)}.")
    try:
        objects.patch(api, _resized(subject), operations, dry_run=False)
    except ApiError as error:
        again = objects.read(api, subject) if error.status in (404, 409, 422) else live
        if again is not None and again["metadata"]["uid"] == subject["uid"] and "deletionTimestamp" not in again["metadata"]:
            raise
        return False
    return True


def _rehearsed(api: Api, part: Mapping[str, Any], where: Mapping[str, str]) -> tuple[Object, tuple[Object, Object]]:
    """(the part with the way back from what the server makes of it, (as it is, as it becomes))."""
    live = _read(api, part)
    result = {"apiVersion": live["apiVersion"], "kind": live["kind"], **objects.patch(api, where, part["patch"], dry_run=True)}
    return {**part, "inverse": patch.inverse(live, result)}, (live, result)


def _back(pod: Object, known: Mapping[str, Any] | None, sizes: Mapping[str, Any]) -> tuple[Operations, Operations]:
    """(the patch that sets a pod back, its opposite); both empty for one that came since and never had the new size."""
    if known:
        return known["inverse"], known["patch"]
    made = _part(pod, _with(pod, sizes, "before", ("spec",), own=True))
    return made["patch"], made["inverse"]


# documents


def _part(live: Object, desired: Object) -> Object:
    """{object, patch, inverse}; without tests of the generation, which scaling moves: the values are tested."""
    forward, inverse = patch.between(live, desired)
    return {"object": objects.reference(live), "patch": without_generation(forward), "inverse": inverse}


def _with(live: Object, sizes: Mapping[str, Any], which: str, where: Sequence[str], own: bool = False) -> Object:
    """The object with the resources of its containers changed; ``own``: on top of what a pod has itself."""
    desired = copy.deepcopy(live)
    spec = desired
    for key in where:
        spec = spec[key]
    for container in spec["containers"]:
        if container["name"] in sizes:
            has = container.get("resources") or {}
            container["resources"] = (
                pod_resources(sizes, which, container["name"], has) if own else copy.deepcopy(sizes[container["name"]][which])
            )
    return desired


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Object, Object]]:
    new = {container["name"]: container.get("resources") or {} for container in after["containers"]}
    return {one["name"]: (one.get("resources") or {}, new.get(one["name"], {})) for one in before["containers"]}


def _lines(pods: Sequence[tuple[Object, Object]]) -> list[dict[str, Any]]:
    """What changes in the pods, alike ones together."""
    alike: dict[str, tuple[list[str], list[dict[str, Any]]]] = {}
    for before, after in pods:
        lines = patch.outcome(before, after)
        alike.setdefault(str(lines), ([], lines))[0].append(before["metadata"]["name"])
    return [
        {**line, "path": f"{'pod' if len(names) == 1 else 'pods'} {', '.join(names)}: {line['path']}"}
        for names, lines in alike.values()
        for line in lines
    ]


def _holds(live: Object, operations: Operations) -> bool:
    return not patch.holds(live, operations)


def _moved(live: Object | None, operations: Operations) -> list[str]:
    return patch.holds(live, operations) if live else ["it does not exist any more"]


def _live(api: Api, change: Change) -> Object:
    live = objects.read(api, change["object"])
    fault = absent(change, live)
    if fault or live is None:
        raise GateRefused(f"{fault}.")
    return live


def _read(api: Api, part: Mapping[str, Any]) -> Object:
    found = objects.read(api, part["object"])
    if found is None:
        raise GateRefused(f"{name_of(part)} does not exist any more.")
    return found


def _resized(subject: Mapping[str, str]) -> dict[str, str]:
    return {**subject, "subresource": "resize"}


def _cause(live: Object) -> str:
    return str((live["metadata"].get("annotations") or {}).get(patch.CAUSE_ANNOTATION, ""))
