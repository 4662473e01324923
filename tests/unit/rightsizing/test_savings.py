# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What changed requests save: requests, money, and the nodes that could really go."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import savings
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.packing import Packing

Object = dict[str, Any]
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
GI = 2**30


def node(name: str, cpu: str = "4", zone: str = "z", labels: Object | None = None, ready: str = "True") -> Object:
    return {
        "metadata": {"name": name, "labels": {HOST: name, ZONE: zone, **(labels or {})}},
        "spec": {},
        "status": {"allocatable": {"cpu": cpu, "memory": "16Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": ready}]},
    }


def pod(name: str, where: str, cpu: str = "1", app: str = "web", owner: str = "ReplicaSet", metadata: Object | None = None, **spec: Any) -> Object:
    owners = [{"kind": owner, "name": app, "uid": f"r-{app}", "controller": True}] if owner else []
    container = {"name": "app", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
    own = {"name": name, "namespace": "a", "labels": {"app": app}, "ownerReferences": owners, **(metadata or {})}
    return {"metadata": own, "spec": {"containers": [container], "nodeName": where, **spec}, "status": {"phase": "Running"}}


def cluster(nodes: list[Object], pods: list[Object], **lists: list[Object]) -> dict[str, list[Object]]:
    return {"nodes": nodes, "pods": pods, "limitranges": [], "namespaces": [], "persistentvolumeclaims": [], "persistentvolumes": [], **lists}


def change(pods: list[Object], cpu: str = "500m", memory: str = "1Gi", kind: str = "Deployment") -> Object:
    app = pods[0]["metadata"]["labels"]["app"]
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": pods[0]["spec"]["containers"]}}
    workload = {"kind": kind, "apiVersion": "apps/v1", "metadata": {"name": app, "namespace": "a", "uid": f"d-{app}"}, "spec": {"template": template}}
    subject = {"key": f"{kind}/a/{app}", "workload": workload, "pods": pods, "all_pods": pods}
    advice = {"decision": "change", "resources": {"app": {"requests": {"cpu": cpu, "memory": memory}, "limits": {}}}}
    return {"subject": subject, "recommendation": advice, "replicas": len(pods)}


def spread(names: list[str], **more: Any) -> list[Object]:
    return [pod(f"web-{index}", name, **more) for index, name in enumerate(names)]


THREE = [node("n1"), node("n2"), node("n3")]


# --- requests and money


def test_requests_over_all_replicas() -> None:
    web, api = spread(["n1", "n2"], cpu="1"), [pod("api-0", "n3", "2", "api")]
    answer = savings.of([change(web, "500m", "512Mi"), change(api, "3", "1Gi")], cluster(THREE, web + api), {})
    assert answer["requested"] == {"cpu": [4.0, 4.0], "memory": [3.0 * GI, 2.0 * GI]}
    assert answer["percent"] == {"cpu": 0.0, "memory": -33.3} and answer["money"] is None
    assert "2 workloads" in answer["sentences"][0] and "memory 3Gi -> 2Gi (-33.3 %)" in answer["sentences"][0]


def test_nothing_was_requested_before() -> None:
    web = spread(["n1"])
    web[0]["spec"]["containers"][0]["resources"] = {}
    answer = savings.of([change(web, "500m", "1Gi")], cluster(THREE, web), None)
    assert answer["percent"] == {"cpu": None, "memory": None} and "nothing -> 0.5" in answer["sentences"][0]


def test_what_a_limit_range_adds_counts() -> None:
    web = spread(["n1"])
    given = change(web)
    given["recommendation"]["resources"]["app"]["requests"].pop("memory")
    ranges = [{"metadata": {"name": "d", "namespace": "a"}, "spec": {"limits": [{"type": "Container", "defaultRequest": {"memory": "2Gi"}}]}}]
    answer = savings.of([given], cluster(THREE, web, limitranges=ranges), {})
    assert answer["requested"]["memory"] == [1.0 * GI, 2.0 * GI]


PRICES = {
    "unit": ({"currency": "EUR", "vcpu_hour": 0.02, "gib_hour": 0.01}, [43.8, 29.2], 0.0),
    "node": ({"currency": "EUR", "node_hour": 0.16}, [36.5, 21.9], 0.0),
    "of two nodes": ({"currency": "EUR", "node_hour": {"n1": 0.16, "n2": 0.32}}, [54.75, 32.85], 0.0),
}


@pytest.mark.parametrize("name", PRICES)
def test_money(name: str) -> None:
    web = spread(["n1", "n2"])
    prices, monthly, _nodes = PRICES[name]
    answer = savings.of([change(web)], cluster([node("n1", labels={"node-role.kubernetes.io/control-plane": ""}), node("n2")], web), prices)
    money = answer["money"]
    assert money["per_month"] == monthly and money["saved_month"] == round(monthly[0] - monthly[1], 2) and money["currency"] == "EUR"
    assert "An estimate, not a bill." in answer["assumptions"] and "less" in answer["sentences"][1]


def test_the_price_of_the_nodes_that_could_go() -> None:
    nodes = [node("n1", "2"), node("n2", "2")]
    web = spread(["n1", "n1", "n2"])
    answer = savings.of([change(web)], cluster(nodes, web), {"currency": "EUR", "node_hour": 0.1})
    assert len(answer["nodes"]["could_go"]) == 1 and answer["money"]["nodes_month"] == 73.0
    unpriced = savings.of([change(web)], cluster(nodes, web), {"currency": "EUR", "node_hour": {"other": 1}})
    assert unpriced["money"] is None and any("price of node" in one for one in unpriced["unknown"])


def test_wrong_prices() -> None:
    with pytest.raises(BadInput, match="vcpu_hour"):
        savings.of([], cluster(THREE, []), {"currency": "EUR", "gib_hour": 1})


# --- nodes


def test_a_node_that_could_go() -> None:
    web = spread(["n1", "n1", "n1", "n2", "n2", "n2", "n3", "n3", "n3"])
    answer = savings.of([change(web, "800m")], cluster(THREE, web), {})
    assert answer["nodes"] == {**answer["nodes"], "now": 3, "needed_before": 3, "needed_after": 2, "could_go": ["n1"]}
    assert "1 node could go after the change and not before (n1): 2 of 3 are needed then, 3 now" in answer["sentences"][1]


def test_requests_and_no_money() -> None:
    web = spread(["n1", "n1", "n1", "n2", "n2", "n2", "n3", "n3", "n3"])
    answer = savings.of([change(web, "950m")], cluster(THREE, web), {})
    assert answer["nodes"]["could_go"] == [] and "0 nodes can go: what is saved is requests, not money" in answer["sentences"][1]


def test_what_could_go_already_is_not_our_merit() -> None:
    web = spread(["n1", "n2", "n3"])
    answer = savings.of([change(web, "500m")], cluster(THREE, web), {})
    assert answer["nodes"]["could_go"] == [] and answer["nodes"]["needed_before"] == 1
    assert "2 of 3 could go already without this change" in answer["sentences"][-1]


def test_higher_requests_need_nodes() -> None:
    web = spread(["n1", "n1", "n2"])
    answer = savings.of([change(web, "2")], cluster(THREE, web), {})
    assert (answer["nodes"]["needed_before"], answer["nodes"]["needed_after"]) == (1, 2)
    assert "1 node more is needed" in answer["sentences"][-1]
    beyond = savings.of([change(web, "5")], cluster(THREE, web), {})
    assert any("find no node of their own size" in one for one in beyond["unknown"])


def test_not_worked_out() -> None:
    web = spread(["n1"])
    row = savings.of([change(web)], cluster(THREE, web), {}, nodes=False)
    assert row["nodes"]["now"] == 3 and row["nodes"]["needed_after"] is None and "not worked out" in row["sentences"][-1]
    unread = savings.of([change(web)], {"pods": web}, {})
    assert "list of nodes could not be read" in unread["unknown"][-1]


EMPTY = {"name": "tmp", "emptyDir": {}}
BLOCKED = {
    "metadata": {"name": "keep", "namespace": "a"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}},
    "status": {"expectedPods": 1, "disruptionsAllowed": 0},
}
CLAIM = {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}


def claimed(modes: str, zone: str) -> Object:
    volume = {"metadata": {"name": "v", "labels": {ZONE: zone}}, "spec": {}}
    claim = {"metadata": {"name": "d", "namespace": "a"}, "spec": {"volumeName": "v", "accessModes": [modes]}, "status": {"phase": "Bound"}}
    return {"persistentvolumes": [volume], "persistentvolumeclaims": [claim]}


# n1 has one pod, n2 has room for it: (n1, the pod, other lists) -> whether n1 can go
FOR_NODES: dict[str, tuple[Object, Object, Object, bool]] = {
    "plain": (node("n1"), pod("p", "n1"), {}, True),
    "nobody makes it again": (node("n1"), pod("p", "n1", owner=""), {}, False),
    "of a job": (node("n1"), pod("p", "n1", owner="Job"), {}, True),
    "of a daemon set": (node("n1"), pod("p", "n1", owner="DaemonSet"), {}, True),
    "static": (node("n1"), pod("p", "n1", owner="Node"), {}, True),
    "data on the node": (node("n1"), pod("p", "n1", volumes=[EMPTY]), {}, False),
    "data in memory": (node("n1"), pod("p", "n1", volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}]), {}, True),
    "a path of the node": (node("n1"), pod("p", "n1", volumes=[{"name": "h", "hostPath": {"path": "/x"}}]), {}, False),
    "not to be evicted": (node("n1"), pod("p", "n1"), {"poddisruptionbudgets": [BLOCKED]}, False),
    "said to stay": (node("n1"), pod("p", "n1", metadata={"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}), {}, False),
    "control plane": (node("n1", labels={"node-role.kubernetes.io/control-plane": ""}), pod("p", "n1"), {}, False),
    "not ready": (node("n1", ready="False"), pod("p", "n1"), {}, False),
    "selector": (node("n1"), pod("p", "n1", nodeSelector={HOST: "n1"}), {}, False),
    "too large": (node("n1"), pod("p", "n1", cpu="3500m"), {}, False),
    "host port": (node("n1"), pod("p", "n1", hostNetwork=True), {}, True),
    "a volume that goes along": (node("n1"), pod("p", "n1", volumes=[CLAIM]), claimed("ReadWriteOnce", "z"), True),
    "a volume of another zone": (node("n1", zone="y"), pod("p", "n1", volumes=[CLAIM]), claimed("ReadWriteOnce", "y"), False),
    "a claim that was not read": (node("n1"), pod("p", "n1", volumes=[CLAIM]), {}, False),
}


@pytest.mark.parametrize("name", FOR_NODES)
def test_which_nodes_can_go(name: str) -> None:
    first, held, lists, goes = FOR_NODES[name]
    root = pod("root", "n2", app="root", owner="")  # n2 stays
    packing = Packing(cluster([first, node("n2")], [held, root], **lists))
    assert packing.empty() == (["n1"] if goes else []) and packing.left == (1 if goes else 2)
    assert bool(packing.why("n1")) == (not goes and name not in ("selector", "too large", "a volume of another zone", "a claim that was not read"))


def test_pods_that_keep_apart() -> None:
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}}
    apart = {"podAntiAffinity": {REQUIRED: [term]}}
    web = spread(["n1", "n2", "n3"], cpu="100m", affinity=apart)
    assert Packing(cluster(THREE, web)).empty() == []
    guard = [pod("g", "n1", "100m", "guard", affinity=apart), pod("web-0", "n2", "100m")]
    assert Packing(cluster(THREE[:2], guard)).empty() == []
    zoned = [node("n1", zone="a"), node("n2", zone="a"), node("n3", zone="b")]
    rule = {"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}
    even = spread(["n1", "n2", "n3"], cpu="100m", topologySpreadConstraints=[rule])
    assert Packing(cluster(zoned, even)).empty() in (["n1"], ["n2"])
    near = {"podAffinity": {REQUIRED: [{"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}}}]}}
    close = [pod("web-0", "n1", "100m", affinity=near), pod("db-0", "n1", "100m", "db", owner=""), pod("x", "n2", "2", "x")]
    assert Packing(cluster(THREE[:2], close)).empty() == ["n2"]


def test_pods_that_wait_take_their_room() -> None:
    web = [*spread(["n1", "n2"], cpu="2"), pod("waits", "", "3", "late")]
    del web[2]["spec"]["nodeName"]
    web[2]["status"] = {"phase": "Pending"}
    assert Packing(cluster(THREE[:2], web[:2])).empty() == ["n1"]
    assert Packing(cluster(THREE, web)).empty() == ["n1"]  # n3 gets the one that waits


def least(sizes: list[int], room: int, count: int) -> int:
    """The fewest of ``count`` nodes of one size that hold everything, by trying."""

    def fit(rest: list[int], free: list[int]) -> bool:
        if not rest:
            return True
        tried: set[int] = set()
        for index, left in enumerate(free):
            if left >= rest[0] and left not in tried:
                tried.add(left)
                if fit(rest[1:], [*free[:index], left - rest[0], *free[index + 1 :]]):
                    return True
        return False

    return next(used for used in range(count + 1) if fit(sorted(sizes, reverse=True), [room] * used))


def test_random_clusters() -> None:
    """No node is filled beyond its room, rules hold, smaller requests never free fewer nodes, and few more stay than the least possible."""
    draw, extra, best = random.Random(11), 0, 0
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "far"}}}
    for _round in range(60):
        nodes = [node(f"n{index}", "4") for index in range(draw.randrange(2, 6))]
        free = {one["metadata"]["name"]: 4000 for one in nodes}
        pods = []
        for index in range(draw.randrange(1, 12)):
            size, where = draw.choice([300, 500, 700, 1000, 1300, 2000]), draw.choice(sorted(free))
            if free[where] >= size:
                free[where] -= size
                pods.append(pod(f"p{index}", where, f"{size}m", f"a{index % 3}"))
        if not pods:
            continue
        packing = Packing(cluster(nodes, pods))
        packing.empty()
        sizes = {one["metadata"]["name"]: int(one["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1]) for one in pods}
        for name in free:
            assert sum(sizes[key[1]] for key, place in packing.places().items() if place == name) <= 4000
        assert set(packing.places().values()) <= set(free) - set(packing.gone)
        fewest = least(list(sizes.values()), 4000, len(nodes))
        assert packing.left >= max(fewest, 1 if pods else 0)
        extra, best = extra + packing.left - fewest, best + fewest
        ours = [one for one in pods if one["metadata"]["labels"]["app"] == "a0"]
        if ours:
            answer = savings.of([change(ours, "200m")], cluster(nodes, pods), {})["nodes"]
            assert answer["needed_after"] <= answer["needed_before"] == packing.left
            assert answer["needed_before"] - answer["needed_after"] == len(answer["could_go"])
        if len(nodes) > 2:
            apart = [pod(f"f{index}", one["metadata"]["name"], "10m", "far") for index, one in enumerate(nodes)]
            for one in apart:
                one["spec"]["affinity"] = {"podAntiAffinity": {REQUIRED: [term]}}
            together = Packing(cluster(nodes, apart[:2] + pods))
            together.empty()
            where = [together.places()["a", f"f{index}"] for index in range(2)]
            assert all(one != other for one, other in combinations(where, 2))
    assert extra <= 0.1 * best


# --- when the watch is over


def test_as_predicted() -> None:
    before = spread(["n1", "n2"])
    replicaset = {"metadata": {"name": "web", "namespace": "a", "uid": "r-web", "ownerReferences": [{"uid": "d-web", "controller": True}]}}
    was = cluster(THREE, before, replicasets=[replicaset])
    given = change(before, "500m", "512Mi")

    def now(count: int, cpu: str) -> Object:
        live = [pod(f"new-{index}", "n1", cpu) for index in range(count)]
        for one in live:
            one["spec"]["containers"][0]["resources"]["requests"]["memory"] = "512Mi"
        return savings.after(was, cluster(THREE, live, replicasets=[replicaset]), [given])

    met = now(2, "500m")
    assert met["as_predicted"] and met["requested"] == {"cpu": [2.0, 1.0, 1.0], "memory": [2.0 * GI, 1.0 * GI, 1.0 * GI]}
    missed = now(2, "700m")
    assert not missed["as_predicted"] and "requests 1.4 cpu now, 1 was predicted" in missed["sentences"][1]
    scaled = now(3, "500m")
    assert scaled["as_predicted"] and scaled["requested"]["cpu"] == [2.0, 1.5, 1.5] and "3 pods now, 2 before" in scaled["sentences"][-1]
    assert "has no pods now" in now(0, "1")["sentences"][1]
