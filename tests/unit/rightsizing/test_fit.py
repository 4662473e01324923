# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Are the pods of a changed template let in, and do they find room, while they roll out and afterwards?"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.fit import check, manner
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.rolling import Stage

Object = dict[str, Any]


def node(name: str, cpu: str = "4", memory: str = "8Gi") -> Object:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def sized(cpu: str = "", memory: str = "", limit: str = "", memory_limit: str = "") -> Object:
    requests = {name: text for name, text in (("cpu", cpu), ("memory", memory)) if text}
    limits = {name: text for name, text in (("cpu", limit), ("memory", memory_limit)) if text}
    return {"requests": requests, "limits": limits}


def subject(where: list[str], kind: str = "Deployment", replicas: int | None = None, resources: Object | None = None, **spec: Any) -> Object:
    """``where``: the node of each pod."""
    containers = [{"name": "app", "resources": resources or sized("1", "1Gi")}]
    labels = {"app": "web", **({"pod-template-hash": "old"} if kind == "Deployment" else {})}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "a", "uid": "w"},
        "spec": {"replicas": len(where) if replicas is None else replicas, "template": template, **spec},
    }
    owner = [{"kind": "ReplicaSet" if kind == "Deployment" else kind, "name": "web", "uid": "r", "controller": True}]
    pods = [
        {
            "metadata": {"name": f"web-{index}", "namespace": "a", "labels": labels, "ownerReferences": owner},
            "spec": {"containers": copy.deepcopy(containers), "nodeName": name},
            "status": {"phase": "Running"},
        }
        for index, name in enumerate(where)
    ]
    return {"key": f"{kind}/a/web", "workload": workload, "pods": pods, "all_pods": pods}


def rolling(surge: Any, unavailable: Any) -> Object:
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}


def cluster(given: Object, nodes: list[Object], **lists: list[Object]) -> dict[str, list[Object]]:
    return {"nodes": nodes, "pods": given["all_pods"], "resourcequotas": [], "limitranges": [], **lists}


def named(name: str, body: Object, **status: Object) -> Object:
    return {"metadata": {"name": name, "namespace": "a"}, "spec": body, **({"status": status} if status else {})}


def quota(hard: Object, used: Object, **spec: Any) -> list[Object]:
    return [named("team", {"hard": hard, **spec}, hard=hard, used=used)]


def codes(answer: Object) -> list[str]:
    assert answer["ok"] is not bool(answer["refusals"])
    return [str(one["code"]) for one in answer["refusals"]]


def ask(given: Object, objects: dict[str, list[Object]], *size: str, **more: str) -> Object:
    return check(given, {"app": sized(*size, **more)}, objects)


FOUR = ["n1", "n1", "n2", "n2"]


# --- the manner of a rollout


MANNERS = {
    "percent, up and down": ("Deployment", 10, rolling("25%", "25%"), (3, 2)),
    "defaults": ("Deployment", 4, {}, (1, 1)),
    "one replica": ("Deployment", 1, {}, (1, 0)),
    "both nothing": ("Deployment", 3, rolling(0, 0), (0, 1)),
    "percent of few": ("Deployment", 3, rolling("0%", "10%"), (0, 1)),
    "numbers": ("Deployment", 8, rolling(3, 0), (3, 0)),
    "all at once": ("Deployment", 5, {"strategy": {"type": "Recreate"}}, (0, 5)),
    "one after the other": ("StatefulSet", 3, {}, (0, 1)),
    "on each node": ("DaemonSet", 4, {}, (0, 1)),
    "on each node, beside": ("DaemonSet", 4, {"updateStrategy": {"rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 0}}}, (2, 0)),
}


@pytest.mark.parametrize("name", MANNERS)
def test_how_pods_are_replaced(name: str) -> None:
    kind, count, spec, wanted = MANNERS[name]
    found = manner(subject(["n1"] * count, kind, **spec))
    assert (found.wanted, found.surge, found.unavailable) == (count, *wanted)


def test_all_is_well() -> None:
    given = subject(FOUR, **rolling(1, 0))
    answer = ask(given, cluster(given, [node("n1"), node("n2")]), "500m", "512Mi")
    assert codes(answer) == [] and not answer["warnings"]
    text = " ".join(answer["lines"])
    assert "(4 replicas + 1 surge) x 500m cpu, 512Mi memory" in text and "no LimitRange" in text and "no ResourceQuota" in text


def test_what_cannot_be_read() -> None:
    given = subject(FOUR)
    assert codes(check(given, {"app": sized("1")}, {"pods": [], "limitranges": [], "resourcequotas": []})) == ["unread"]


# --- LimitRange

BOUNDED = [{"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "2", "memory": "2Gi"}, "maxLimitRequestRatio": {"cpu": "4"}}]
LIMITS = {
    "within": ((sized("500m", "1Gi", "2", "1Gi")), ""),
    "too little": ((sized("50m", "1Gi", "200m", "1Gi")), "at least 100m of cpu"),
    "too much": ((sized("1", "3Gi", "2", "3Gi")), "at most 2Gi of memory"),
    "too far apart": ((sized("250m", "1Gi", "2", "1Gi")), "so many times the request: 4 of cpu"),
    "no limit where there is a maximum": ((sized("500m", "1Gi", "", "1Gi")), "has the limit nothing"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit_ranges(name: str) -> None:
    given, (resources, says) = subject(FOUR), LIMITS[name]
    objects = cluster(given, [node("n1"), node("n2")], limitranges=[named("bounds", {"limits": BOUNDED})])
    answer = check(given, {"app": resources}, objects)
    assert codes(answer) == (["limit_range"] if says else [])
    assert not says or (says in answer["refusals"][0]["sentence"] and "LimitRange bounds" in answer["refusals"][0]["sentence"])
    assert any(one.startswith("LimitRange bounds: container app asks for") for one in answer["lines"])


def test_a_limit_range_for_whole_pods() -> None:
    given = subject(FOUR)
    given["workload"]["spec"]["template"]["spec"]["containers"].append({"name": "log", "resources": sized("1", "1Gi", "1", "1Gi")})
    for pod in given["pods"]:
        pod["spec"]["containers"].append({"name": "log", "resources": sized("1", "1Gi", "1", "1Gi")})
    objects = cluster(given, [node("n1", "9"), node("n2", "9")], limitranges=[named("pods", {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]})])
    assert codes(check(given, {"app": sized("1", "1Gi", "1", "1Gi")}, objects)) == []
    assert codes(check(given, {"app": sized("1", "1Gi", "1500m", "1Gi")}, objects)) == ["limit_range"]


def test_a_limit_that_comes_back() -> None:
    given = subject(FOUR)
    ranges = [named("defaults", {"limits": [{"type": "Container", "default": {"cpu": "300m"}}]})]
    objects = cluster(given, [node("n1"), node("n2")], limitranges=ranges)
    answer = ask(given, objects, "200m", "1Gi")
    assert codes(answer) == [] and "LimitRange defaults gives a container without one the cpu limit 300m" in answer["warnings"][0]
    assert codes(ask(given, objects, "500m", "1Gi")) == ["limit_range"]  # more than the limit that it would get


# --- ResourceQuota


def test_quota_at_every_moment_of_the_rollout() -> None:
    given = subject(FOUR, **rolling(1, 0))
    nodes = [node("n1", "20"), node("n2", "20")]

    def asked(cpu: str, hard: str, used: str = "6") -> Object:  # 4 are ours, the rest others'
        return ask(given, cluster(given, nodes, resourcequotas=quota({"requests.cpu": hard}, {"requests.cpu": used})), cpu, "1Gi")

    assert codes(asked("2", "12")) == []  # (4 + 1) x 2 + 2 of others
    refused = asked("2", "11")
    assert codes(refused) == ["quota"] and "ResourceQuota team leaves 9 of 11" in refused["refusals"][0]["sentence"]
    assert "5 new pods of 2 need 10 at once" in refused["refusals"][0]["sentence"]
    assert codes(asked("100m", "7")) == []  # at the start 4 old ones and a small one
    assert codes(asked("100m", "6")) == ["quota"]  # not one may be added, and none may go first
    assert "(4 replicas + 1 surge) x 2 = 10" in " ".join(asked("2", "12")["lines"])


def test_quota_with_pods_that_may_go_first() -> None:
    given = subject(FOUR, **rolling(1, 1))
    objects = cluster(given, [node("n1"), node("n2")], resourcequotas=quota({"requests.cpu": "4"}, {"requests.cpu": "4"}))
    answer = ask(given, objects, "900m", "1Gi")
    assert codes(answer) == [] and "goes on without all of its surge" in answer["warnings"][0]
    assert codes(ask(given, objects, "1100m", "1Gi")) == ["quota"]


@pytest.mark.parametrize("key", ["limits.cpu", "limits.memory", "requests.memory", "cpu"])
def test_what_a_quota_counts_has_to_be_there(key: str) -> None:
    given = subject(FOUR, resources=sized("1", "1Gi", "1", "1Gi"))
    objects = cluster(given, [node("n1"), node("n2")], resourcequotas=quota({key: "999Gi"}, {key: "4"}))
    whole = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert codes(check(given, {"app": whole}, objects)) == []
    part, resource = key.split(".") if "." in key else ("requests", key)
    lacking = copy.deepcopy(whole)
    for one in ("limits",) if part == "limits" else ("limits", "requests"):
        del lacking[one][resource]
    answer = check(given, {"app": lacking}, objects)
    refusal = answer["refusals"][0]
    assert codes(answer) == ["quota_needs"] and f"ResourceQuota team counts {key}" in refusal["sentence"]
    assert key != "limits.cpu" or "cpu_limit: keep or ratio" in refusal["fix"]


def test_a_quota_for_other_pods() -> None:
    given = subject(FOUR, resources={})
    scoped = quota({"pods": "4", "requests.cpu": "1"}, {"pods": "0"}, scopes=["NotBestEffort"])
    objects = cluster(given, [node("n1"), node("n2")], resourcequotas=scoped)
    answer = ask(given, objects, "500m")  # with requests they fall under it: 2 of 1 core, and 5 of 4 pods where one may go first
    assert codes(answer) == ["quota"] and "pods" in answer["warnings"][0]
    best_effort = quota({"pods": "4"}, {"pods": "4"}, scopes=["BestEffort"])
    assert codes(ask(given, cluster(given, [node("n1"), node("n2")], resourcequotas=best_effort), "500m")) == []


def test_a_quota_without_a_status_is_counted() -> None:
    given = subject(FOUR, **rolling(1, 0))
    other = copy.deepcopy(given["pods"][0])
    other["metadata"]["name"] = "other"
    objects = cluster(given, [node("n1"), node("n2")], resourcequotas=[named("team", {"hard": {"requests.cpu": "6"}})])
    objects["pods"] = [*objects["pods"], other]
    assert codes(ask(given, objects, "1", "1Gi")) == []
    assert codes(ask(given, objects, "1010m", "1Gi")) == ["quota"]


# --- nodes


def test_no_room_beside_the_old_pods() -> None:
    nodes = [node("n1", "2"), node("n2", "2")]  # full
    stuck, freeing = subject(FOUR, **rolling(1, 0)), subject(FOUR, **rolling(1, 1))
    answer = ask(stuck, cluster(stuck, nodes), "900m", "1Gi")
    assert codes(answer) == ["rolling_fit"] and "after 0 of 4" in answer["refusals"][0]["sentence"]
    assert "less cpu left than the 900m" in answer["refusals"][0]["sentence"]
    goes = ask(freeing, cluster(freeing, nodes), "900m", "1Gi")
    assert codes(goes) == [] and "Only 0 of the 1 surge pods fit" in goes["warnings"][0]


def test_no_room_afterwards() -> None:
    given = subject(FOUR)
    answer = ask(given, cluster(given, [node("n1"), node("n2")]), "1500m", "1Gi")
    assert codes(answer) == []
    answer = ask(given, cluster(given, [node("n1"), node("n2")]), "2100m", "1Gi")
    assert codes(answer) == ["node_fit"] and "Only 2 of 4" in answer["refusals"][0]["sentence"]
    assert "margin_percent" in answer["refusals"][0]["fix"]


def test_stuck_in_the_middle() -> None:
    """All would fit in the end, and the first ones fit beside the old ones; the last would need the room of two old ones at once."""
    nodes = [node(f"n{index}", "2") for index in range(1, 5)]
    given = subject(FOUR, **rolling(1, 0))
    answer = ask(given, cluster(given, nodes), "2", "1Gi")
    assert codes(answer) == ["rolling_fit"] and "after 3 of 4" in answer["refusals"][0]["sentence"]
    assert "without the old ones 4 of 5 fit" in " ".join(answer["lines"])
    freeing = subject(FOUR, **rolling(1, 1))
    assert codes(ask(freeing, cluster(freeing, nodes), "2", "1Gi")) == []


def test_the_next_rollout_is_said() -> None:
    given = subject(["n1"] * 4, **rolling(1, 0))
    answer = ask(given, cluster(given, [node("n1", "9")]), "2", "1Gi")
    assert codes(answer) == [] and "next rollout would stand still" in answer["warnings"][-1]
    roomy = ask(given, cluster(given, [node("n1", "10")]), "2", "1Gi")
    assert codes(roomy) == [] and not roomy["warnings"]


def test_recreate_has_the_room_of_the_old_ones() -> None:
    given = subject(FOUR, strategy={"type": "Recreate"})
    answer = ask(given, cluster(given, [node("n1", "2"), node("n2", "2")]), "1", "1Gi")
    assert codes(answer) == [] and "all at once" in answer["warnings"][0]


def test_pods_of_others_and_those_that_wait() -> None:
    given = subject(FOUR, **rolling(1, 0))
    objects = cluster(given, [node("n1", "3"), node("n2", "3")])
    assert codes(ask(given, objects, "1", "1Gi")) == []
    other = copy.deepcopy(given["pods"][0])
    other["metadata"] = {"name": "waits", "namespace": "a", "labels": {}}
    other["spec"] = {"containers": [{"name": "x", "resources": sized("1")}], "priority": 5}
    other["status"] = {"phase": "Pending"}
    for names in (["w1"], ["w1", "w2"]):
        waiting = [{**other, "metadata": {**other["metadata"], "name": name}} for name in names]
        more = {**objects, "pods": [*objects["pods"], *waiting]}
        assert codes(ask(given, more, "1", "1Gi")) == ([] if len(names) == 1 else ["rolling_fit"])


def test_a_stage_serves_many() -> None:
    given = subject(FOUR, **rolling(1, 1))
    objects = cluster(given, [node("n1", "3"), node("n2", "3")])
    stage = Stage(objects)
    before = [(dict(slot.free), dict(slot.ports)) for slot in stage.cluster.slots]
    for cpu in ("500m", "1500m", "9", "1", "500m"):
        fresh = check(given, {"app": sized(cpu, "1Gi")}, objects)
        assert check(given, {"app": sized(cpu, "1Gi")}, objects, stage) == fresh
        assert [({**slot.free}, dict(slot.ports)) for slot in stage.cluster.slots] == before


def test_stateful_pods_go_one_after_the_other_to_their_volumes() -> None:
    given = subject(["n1", "n2"], "StatefulSet")
    volumes, claims = [], []
    for index, pod in enumerate(given["pods"]):
        pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-web-{index}"}}]
        terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [f"n{index + 1}"]}]}]
        volumes.append({"metadata": {"name": f"v{index}"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}})
        body = {"volumeName": f"v{index}", "accessModes": ["ReadWriteOnce"]}
        claims.append({"metadata": {"name": f"data-web-{index}", "namespace": "a"}, "spec": body, "status": {"phase": "Bound"}})
    given["workload"]["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": {}}]
    objects = cluster(given, [node("n1", "2"), node("n2", "1"), node("n3", "9")], persistentvolumes=volumes, persistentvolumeclaims=claims)
    assert codes(ask(given, objects, "1", "2Gi")) == []
    answer = ask(given, objects, "1500m", "1Gi")
    assert codes(answer) == ["rolling_fit"] and "web-1 finds no node after it has left n2" in answer["refusals"][0]["sentence"]
    assert "after 0 of 2" in answer["refusals"][0]["sentence"]


@pytest.mark.parametrize(
    ("mode", "unavailable", "code"), [("ReadWriteOncePod", 0, "rolling_fit"), ("ReadWriteOncePod", 1, ""), ("ReadWriteOnce", 0, "")]
)
def test_a_claim_that_old_and_new_share(mode: str, unavailable: int, code: str) -> None:
    given = subject(["n1"], **rolling(1, unavailable))
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    for spec in (given["pods"][0]["spec"], given["workload"]["spec"]["template"]["spec"]):
        spec["volumes"] = volumes
    claim = {
        "metadata": {"name": "data", "namespace": "a", "uid": "c"},
        "spec": {"volumeName": "v", "accessModes": [mode]},
        "status": {"phase": "Bound"},
    }
    lists = {"persistentvolumeclaims": [claim], "persistentvolumes": [{"metadata": {"name": "v"}, "spec": {}}]}
    answer = ask(given, cluster(given, [node("n1"), node("n2")], **lists), "1", "1Gi")
    assert codes(answer) == ([code] if code else []) and (not code or "one pod only" in answer["refusals"][0]["sentence"])
    full = ask(given, cluster(given, [node("n1", "1500m"), node("n2")], **lists), "1", "1Gi")
    assert codes(full) == ([] if unavailable else ["rolling_fit"])  # the new pod has to be where the volume is


def test_another_scheduler() -> None:
    given = subject(FOUR)
    given["pods"][0]["spec"]["schedulerName"] = "own"
    assert "scheduler own" in ask(given, cluster(given, [node("n1"), node("n2")]), "1", "1Gi")["warnings"][0]


def test_daemons_on_every_node() -> None:
    names = [f"n{index}" for index in range(1, 9)]
    given = subject(names, "DaemonSet")
    nodes = [node(name, "3" if name < "n3" else "1500m") for name in names]
    assert codes(ask(given, cluster(given, nodes), "1400m", "1Gi")) == []
    answer = ask(given, cluster(given, nodes), "2", "1Gi")
    assert codes(answer) == ["daemon_fit"] and "On 6 of 8 nodes" in answer["refusals"][0]["sentence"]
    assert "n3, n4, n5, n6, n7 and 1 more" in answer["refusals"][0]["sentence"]
    beside = subject(names, "DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    answer = ask(beside, cluster(beside, nodes), "900m", "1Gi")
    assert codes(answer) == ["daemon_fit"] and "maxSurge to 0" in answer["refusals"][0]["fix"]


# --- the manner, said


def test_what_would_roll_nothing_out() -> None:
    paused, asked = subject(FOUR, paused=True), subject(["n1"], "StatefulSet", updateStrategy={"type": "OnDelete"})
    for given, code in ((paused, "paused"), (asked, "on_delete")):
        assert codes(ask(given, cluster(given, [node("n1", "9"), node("n2", "9")]), "1", "1Gi")) == [code]


def test_what_is_said() -> None:
    given = subject(["n1"], "StatefulSet", updateStrategy={"rollingUpdate": {"partition": 1}})
    given["pods"][0]["spec"]["containers"].append({"name": "istio-proxy", "resources": sized("3")})
    budget = named("keep", {"selector": {"matchLabels": {"app": "web"}}})
    objects = cluster(given, [node("n1")], poddisruptionbudgets=[budget])
    answer = ask(given, objects, "1", "1Gi")
    assert codes(answer) == [] and "x 4 cpu" in " ".join(answer["lines"])
    assert "PodDisruptionBudget keep" in " ".join(answer["lines"]) and "istio-proxy" in " ".join(answer["lines"])
    assert "partition 1" in answer["warnings"][0] and "nothing serves" in answer["warnings"][1]
    assert codes(ask(given, objects, "1500m", "1Gi")) == ["rolling_fit"]
