# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How many more replicas of a pod fit into a cluster, where, what binds first, and what remains without the largest node.

``place`` works on plain API objects of the whole cluster and changes none of them. Its answer is a plain dict (see there): CPU in cores,
memory in bytes. What it says fits is what kube-scheduler with its default profile binds; what it cannot judge stands under ``unknown``.
Raises BadInput for a declared node without a name or sizes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import placing_admission, placing_rank, placing_words
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_admission import Room
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import (
    DEFAULT_SCHEDULER,
    HOSTNAME,
    Cluster,
    Object,
    Objects,
    Slot,
)
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand, guards
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_run import Run, settle
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_volumes import Volumes
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Placement = dict[str, Any]
_HASH, _REVISION = "pod-template-hash", "deployment.kubernetes.io/revision"
_LISTS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets"}
_NEEDED = ("nodes", "pods", "resourcequotas", "limitranges")
_PODS_OF_A_NODE = "110"
_VIRTUAL = "virtual-kubelet"


def place(
    pod: Object, count: int, objects: Objects, *, controller: Object | None = None, declared_nodes: Iterable[Mapping[str, Any]] = ()
) -> Placement:
    """Place ``count`` more replicas of ``pod``.

    The answer: asked, fits, nodes [{node, pods, left}], binds_first {what, sentence} or None where all fit, reasons
    [{what, nodes, sentence}] of why nodes refuse the next one, quota {fits or None, sentence}, limit_range {ok, sentence},
    without_largest_node {node, fits, sentence}, declared {fits, nodes, used} or None without declared nodes, and warnings, assumptions
    and unknown (sentences). ``what`` is a resource (cpu, memory, pods, ...), taint, cordoned, not_ready, selector, affinity,
    anti_affinity, spread, ports, volume, quota, limit_range, gate, node_name or nodes.
    """
    declared = _declared(declared_nodes)
    asked = max(0, count)
    owner = _owner(controller, objects)
    template, refused = placing_admission.admitted(_labelled(pod, owner, objects), objects)
    cluster = Cluster(objects)
    selector = _selector(template, owner, objects)

    def demanded() -> Demand:
        return Demand(template, cluster, Volumes.of(template, cluster, owner, asked), selector)

    waiting = placing_rank.settle_waiting(cluster, cluster.waiting)
    demand = demanded()
    volumes = demand.volumes
    quota = placing_admission.room(template, objects, volumes.new_claims(), asked)
    barred = _barred(template, refused, volumes)
    allowed = min(one for one in (asked, quota.fits, volumes.most, 0 if barred else None) if one is not None)
    run, least = settle(cluster, demand, allowed)
    fits = len(run.placed)
    found = placing_words.reasons(run) if not barred else []
    answer: Placement = {
        "asked": asked,
        "fits": fits,
        "nodes": _nodes(run),
        "binds_first": None if fits == asked else barred or _binding(run, allowed, quota, volumes, found),
        "reasons": [{"what": one.what, "nodes": len(one.slots), "sentence": placing_words.sentence(one, demand)} for one in found],
        "quota": {"fits": quota.fits, "sentence": quota.sentence},
        "limit_range": {"ok": not refused, "sentence": refused or "No LimitRange keeps the pod out."},
        "warnings": _warnings(run, waiting, volumes, fits < asked and not barred and fits == min(asked, allowed), objects),
        "assumptions": _assumptions(run, least),
        "unknown": _unknown(template, demand, cluster),
    }
    answer["declared"] = _with_declared(run, declared, allowed, fits) if declared else None
    answer["without_largest_node"] = _without_largest(run, allowed, waiting, demanded)
    return answer


# --- the pod as it will be


def _owner(controller: Object | None, objects: Objects) -> Object | None:
    """The workload's object; ``controller`` is that, or a reference with kind, name and namespace."""
    if controller is None or "spec" in controller:
        return controller
    metadata = controller.get("metadata") or controller
    return next(
        (
            one
            for one in objects.get(_LISTS.get(controller.get("kind", ""), "")) or []
            if one["metadata"]["name"] == metadata.get("name") and one["metadata"].get("namespace") == metadata.get("namespace")
        ),
        None,
    )


def _replicaset(owner: Object | None, objects: Objects) -> Object | None:
    """The newest ReplicaSet of a Deployment."""
    if owner is None or owner.get("kind") != "Deployment":
        return None
    uid = owner["metadata"].get("uid")
    mine = [
        one
        for one in objects.get("replicasets") or []
        if uid and any(ref.get("uid") == uid for ref in one["metadata"].get("ownerReferences") or [])
    ]
    return max(mine, key=lambda one: int((one["metadata"].get("annotations") or {}).get(_REVISION) or 0), default=None)


def _labelled(pod: Object, owner: Object | None, objects: Objects) -> Object:
    """The pod with the label that its ReplicaSet gives it."""
    newest = _replicaset(owner, objects)
    label = ((newest or {}).get("metadata", {}).get("labels") or {}).get(_HASH)
    labels = {**(pod["metadata"].get("labels") or {}), **({_HASH: label} if label else {})}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


def _selector(pod: Object, owner: Object | None, objects: Objects) -> Mapping[str, Any] | None:
    """The pods among which the scheduler spreads this one by itself: those of its controller."""
    holder = _replicaset(owner, objects) or (owner if owner and owner.get("kind") in ("StatefulSet", "ReplicaSet") else None)
    if holder is not None and holder["spec"].get("selector"):
        selector: Mapping[str, Any] = holder["spec"]["selector"]
        return selector
    labels = pod["metadata"].get("labels") or {}
    return {"matchLabels": labels} if labels else None


def _barred(pod: Object, refused: str, volumes: Volumes) -> dict[str, str] | None:
    """What keeps every replica from every node."""
    if refused:
        return {"what": "limit_range", "sentence": f"The API server would refuse the pod: {refused}."}
    gates = [one["name"] for one in pod["spec"].get("schedulingGates") or []]
    if gates:
        return {
            "what": "gate",
            "sentence": f"The pod has the scheduling gate {fit.listed(gates)}: it waits until somebody takes that away.",
        }
    if volumes.refused:
        return {"what": "volume", "sentence": f"No replica finds a node: {volumes.refused}."}
    return None


# --- what came of it


def _nodes(run: Run) -> list[dict[str, Any]]:
    counts = Counter(slot.name for slot in run.placed)
    named = {slot.name: slot for slot in run.placed}
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"node": name, "pods": pods, "left": placing_words.left_of(named[name])} for name, pods in ordered]


def _binding(run: Run, allowed: int, quota: Room, volumes: Volumes, found: list[placing_words.Reason]) -> dict[str, str]:
    if len(run.placed) == allowed:
        if quota.fits is not None and quota.fits == allowed:
            return {"what": "quota", "sentence": quota.sentence}
        return {"what": "volume", "sentence": volumes.warnings[0] if volumes.warnings else "The volumes allow no more."}
    if not run.cluster.slots:
        return {"what": "nodes", "sentence": "No node is known."}
    first = found[0]
    text = placing_words.sentence(first, run.demand)
    return {"what": first.what, "sentence": text[0].upper() + text[1:] + "."}


def _with_declared(run: Run, declared: list[Slot], allowed: int, fits: int) -> dict[str, Any]:
    """What fits when the declared nodes are there too: the scheduler has first filled those that are."""
    cluster, demand = run.cluster, run.demand
    used, total = Counter[str](), fits
    if fits < allowed:
        _with_daemons(cluster, declared)
        again = demand.volumes.binds or demand.volumes.differ()  # what the first replicas settled is not carried over
        if again:
            run.undo()
        for slot in declared:
            cluster.add(slot)
        more, _least = settle(cluster, demand, allowed if again else allowed - fits)
        total = max(fits, len(more.placed) if again else fits + len(more.placed))
        used.update(slot.name for slot in more.placed if slot.declared)
        more.undo()
        for slot in declared:
            cluster.lose(slot)
    return {"fits": total, "nodes": len(declared), "used": len(used)}


def _with_daemons(cluster: Cluster, declared: list[Slot]) -> None:
    """A new node gets the pods of DaemonSets before any other."""
    for owner in cluster.objects.get("daemonsets") or []:
        template = owner["spec"]["template"]
        metadata = {**(template.get("metadata") or {}), "namespace": owner["metadata"].get("namespace", "")}
        daemon = Demand({"metadata": metadata, "spec": template["spec"]}, cluster, Volumes(cluster))
        for slot in declared:
            if daemon.why_not(slot) is None:
                slot.put(daemon.load)


def _without_largest(run: Run, allowed: int, waiting: placing_rank.Waiting, demanded: Callable[[], Demand]) -> dict[str, Any]:
    """The same once more after the largest node that takes the pod is lost, and its pods have gone elsewhere."""
    if not run.slots:
        return {"node": "", "fits": 0, "sentence": "No node takes the pod."}
    cluster = run.cluster
    biggest = {name: max(slot.size.get(name, 0) for slot in run.slots) or 1 for name in ("cpu", "memory")}
    counts = Counter(slot.name for slot in run.placed)
    largest = max(
        run.slots, key=lambda slot: (sum(slot.size.get(name, 0) / most for name, most in biggest.items()), counts[slot.name], slot.name)
    )
    run.undo()
    evicted = [*cluster.lose(largest), *(pod for pod, slot in waiting.placed if slot is largest)]
    moved = [{**pod, "spec": {name: part for name, part in pod["spec"].items() if name != "nodeName"}, "status": {}} for pod in evicted]
    homeless = placing_rank.settle_waiting(cluster, moved)
    again, _least = settle(cluster, demanded(), allowed)  # anew: what was in use there is so no more
    fits = len(again.placed)
    lost = f" {len(homeless.left)} of the {_pods(len(evicted))} there would find no other node." if homeless.left else ""
    taken = f" after {_pods(len(evicted))} from there would have moved" if evicted and not homeless.left else ""
    return {
        "node": largest.name,
        "fits": fits,
        "sentence": f"Without {largest.name}, the largest node for this pod, {fits} fit{taken}.{lost}",
    }


def _warnings(run: Run, waiting: placing_rank.Waiting, volumes: Volumes, quota_binds: bool, objects: Objects) -> list[str]:
    found = list(volumes.warnings)
    own = placing_rank.priority(run.demand.pod, objects)
    if waiting.placed:
        found.append(f"Of the pods that wait now {len(waiting.placed)} fit, and take their room first.")
    higher = [one for one in waiting.left if placing_rank.priority(one, objects) > own]
    if higher:
        names = fit.listed(f"{one['metadata'].get('namespace', '')}/{one['metadata']['name']}" for one in higher)
        found.append(f"{names} of higher priority wait and fit nowhere: where the new replicas are in their way, these are evicted.")
    if not quota_binds and run.slots and not run.candidates():
        text = placing_rank.preempting(run, objects)
        found += [text] if text else []
    for name, budget in sorted(placing_rank.budgets(run.demand.pod, objects).items()):
        status = budget.get("status") or {}
        if status.get("expectedPods") and not status.get("disruptionsAllowed"):
            found.append(f"PodDisruptionBudget {name} allows no disruption of these pods now: a node that is drained waits for them.")
    return found


def _pods(count: int) -> str:
    return f"{count} pod" if count == 1 else f"{count} pods"


def _assumptions(run: Run, least: int | None) -> list[str]:
    found = ["Room is counted by what pods request, as the scheduler does; what they really use is not looked at."]
    if least is not None:
        found.append(
            f"Which node is taken first changes how many fit. {len(run.placed)} is the fewest with the scheduler's default scores and any"
            f" luck among equal nodes; with other scores it can be {least}."
        )
    virtual = sorted({slot.name for slot in run.placed if slot.labels.get("type") == _VIRTUAL})
    if virtual:
        found.append(f"{fit.listed(virtual)}: a virtual node; that its provider has what it offers is taken on trust.")
    return found + run.demand.volumes.notes


def _unknown(pod: Object, demand: Demand, cluster: Cluster) -> list[str]:
    spec, objects = pod["spec"], cluster.objects
    found = [f"The list of {name} could not be read." for name in _NEEDED if name not in objects]
    if demand.scheduler != DEFAULT_SCHEDULER:
        found.append(f"The pod asks for the scheduler {demand.scheduler}; its rules are not known, these are those of kube-scheduler.")
    if spec.get("resourceClaims"):
        found.append("The pod claims devices (resourceClaims); whether a node has them free is not judged.")
    if spec.get("runtimeClassName") and not spec.get("overhead"):
        found.append(f"RuntimeClass {spec['runtimeClassName']} may add overhead and rules for nodes; it was not read.")
    if any(one.get("persistentVolumeClaim") or one.get("ephemeral") for one in spec.get("volumes") or []) or demand.volumes.differ():
        found.append("How many volumes a node can attach, and how much room its storage has, is not judged.")
    if "namespaces" not in objects and any(
        term.everywhere for group in cluster.residents() for term in [*guards(group), *demand.near, *demand.far]
    ):
        found.append("The list of namespaces could not be read: terms that choose namespaces by label are judged by their names only.")
    if spec.get("nodeName"):
        found.append("The pod names its node, so the scheduler is not asked; what the kubelet there does is not judged.")
    return found


# --- nodes that could be added


def _declared(nodes: Iterable[Mapping[str, Any]]) -> list[Slot]:
    found = []
    for number, one in enumerate(nodes):
        if not isinstance(one, Mapping) or not one.get("name") or not isinstance(one.get("allocatable"), Mapping):
            raise BadInput(
                f"declared_nodes[{number}] has no name or no allocatable.",
                "Give each kind of node a name, how many of it there could be (count), and allocatable with cpu and memory.",
            )
        for index in range(int(one.get("count") or 1)):
            name = f"{one['name']}-{index + 1}"
            found.append(
                Slot(
                    {
                        "metadata": {"name": name, "labels": {**(one.get("labels") or {}), HOSTNAME: name}},
                        "spec": {"taints": list(one.get("taints") or [])},
                        "status": {"allocatable": {"pods": _PODS_OF_A_NODE, **one["allocatable"]}},
                    },
                    declared=True,
                )
            )
    return found
