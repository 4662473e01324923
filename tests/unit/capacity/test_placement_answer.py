# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a placement says besides the number: where, what is left, what a lost node means, declared nodes, warnings, what is not known."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placement import place
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

from tests.unit.capacity.test_placement import (
    DATA,
    HOST,
    THREE,
    ZONE,
    Object,
    claim,
    far,
    in_namespace,
    new,
    node,
    objects,
    pod,
    spread,
    storage,
    term,
    volume,
)

HIGH = {"metadata": {"name": "high"}, "value": 1000}
NEVER = {"metadata": {"name": "never"}, "value": 1000, "preemptionPolicy": "Never"}


def test_all_fit_and_where() -> None:
    answer = place(new(memory="1Gi"), 3, objects([node("n1"), node("n2", cpu="8")], [pod("n1", cpu="4")]))
    assert (answer["fits"], answer["binds_first"]) == (3, None)
    assert [one["what"] for one in answer["reasons"]] == ["cpu"]  # n1 takes none
    assert answer["nodes"] == [{"node": "n2", "pods": 3, "left": {"cpu": 5.0, "memory": 5 * 2**30, "pods": 107}}]
    json.dumps(answer)


def test_the_scheduler_spreads_by_itself() -> None:
    answer = place(new(), 3, objects(THREE))
    assert [(one["node"], one["pods"]) for one in answer["nodes"]] == [("n1", 1), ("n2", 1), ("n3", 1)]


def test_nothing_is_changed() -> None:
    given = objects(
        THREE, [pod("n1"), pod(cpu="1")], limitranges=[in_namespace("l", {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]})]
    )
    before, template = copy.deepcopy(given), new()
    asked = copy.deepcopy(template)
    place(template, 9, given, declared_nodes=[{"name": "more", "allocatable": {"cpu": "4", "memory": "8Gi"}}])
    assert given == before
    assert template == asked


def test_reasons_of_all_nodes() -> None:
    nodes = [node("n1"), node("n2", taints=[{"key": "team", "effect": "NoSchedule"}]), node("n3", ready="False"), node("n4", cpu="500m")]
    answer = place(new(), 9, objects(nodes))
    assert [(one["what"], one["nodes"]) for one in answer["reasons"]] == [("cpu", 2), ("not_ready", 1), ("taint", 1)]
    assert answer["binds_first"]["sentence"] == "2 nodes: less cpu left than the 1 that a replica asks for (the most is 500m on n4)."


def test_without_the_largest_node() -> None:
    nodes = [node("n1"), node("n2", cpu="8"), node("n3")]
    pods = [pod("n2", cpu="3", name="one"), pod("n2", cpu="1", name="agent", owner="DaemonSet"), pod("n2", cpu="1", name="alone", owner="")]
    lost = place(new(), 20, objects(nodes, pods))["without_largest_node"]
    assert (lost["node"], lost["fits"]) == ("n2", 5)  # 8 CPUs are left, and one pod of 3 comes to them
    assert lost["sentence"] == "Without n2, the largest node for this pod, 5 fit after 1 pod from there would have moved."


def test_a_lost_node_whose_pods_find_no_other() -> None:
    lost = place(new(), 2, objects([node("n1"), node("n2", cpu="8")], [pod("n2", cpu="5")]))["without_largest_node"]
    assert "1 of the 1 pod there would find no other node" in lost["sentence"]
    assert lost["fits"] == 2


def test_a_lost_node_that_had_the_volume() -> None:
    given = objects(
        [node("n1"), node("n2", cpu="8")],
        [pod("n2", volumes=DATA)],
        persistentvolumeclaims=[claim(["ReadWriteOnce"], "v")],
        persistentvolumes=[volume("v", modes="ReadWriteOnce")],
    )
    answer = place(new(volumes=DATA), 9, given)
    assert (answer["fits"], answer["without_largest_node"]["fits"]) == (7, 3)


def test_declared_nodes() -> None:
    more = [{"name": "big", "count": 3, "labels": {ZONE: "a"}, "allocatable": {"cpu": "2", "memory": "4Gi"}}]
    assert place(new(), 14, objects(THREE), declared_nodes=more)["declared"] == {"fits": 14, "nodes": 3, "used": 2}
    assert place(new(), 20, objects(THREE), declared_nodes=more)["declared"] == {"fits": 18, "nodes": 3, "used": 3}
    assert place(new(), 5, objects(THREE), declared_nodes=more)["declared"] == {"fits": 5, "nodes": 3, "used": 0}
    tainted = [{**more[0], "taints": [{"key": "team", "effect": "NoSchedule"}]}]
    assert place(new(), 20, objects(THREE), declared_nodes=tainted)["declared"] == {"fits": 12, "nodes": 3, "used": 0}
    assert place(new(), 20, objects(THREE))["declared"] is None


@pytest.mark.parametrize("wrong", [{"allocatable": {"cpu": "1"}}, {"name": "x"}, "x"])
def test_a_declared_node_that_is_none(wrong: Object) -> None:
    with pytest.raises(BadInput, match=r"declared_nodes\[0\]"):
        place(new(), 1, objects(THREE), declared_nodes=[wrong])


def test_preemption_is_no_fit_but_said() -> None:
    given = objects([node("n1")], [pod("n1", cpu="3", name="low")], priorityclasses=[HIGH, NEVER])
    answer = place(new(priorityClassName="high", cpu="2"), 1, given)
    assert answer["fits"] == 0
    assert answer["warnings"] == ["One more fits only by preemption: on node n1, a/low of lower priority than 1000 would be evicted."]
    assert place(new(priorityClassName="never", cpu="2"), 1, given)["warnings"] == []
    assert place(new(cpu="2"), 1, given)["warnings"] == []


def test_preemption_names_the_budget() -> None:
    budget = in_namespace("keep", {"selector": {"matchLabels": {"app": "old"}}})
    given = objects([node("n1")], [pod("n1", cpu="3")], priorityclasses=[HIGH], poddisruptionbudgets=[budget])
    assert "PodDisruptionBudget keep is overridden" in place(new(priorityClassName="high", cpu="2"), 1, given)["warnings"][0]


def test_budget_that_allows_nothing() -> None:
    budget = in_namespace("keep", {"selector": {"matchLabels": {"app": "web"}}}, {"expectedPods": 2, "disruptionsAllowed": 0})
    assert "PodDisruptionBudget keep allows no disruption" in place(new(), 1, objects(THREE, poddisruptionbudgets=[budget]))["warnings"][0]


def test_waiting_pods_are_said() -> None:
    given = objects(THREE, [pod(cpu="1"), {**pod(cpu="99", name="big"), "spec": {**pod(cpu="99")["spec"], "priority": 5}}])
    assert place(new(), 1, given)["warnings"] == [
        "Of the pods that wait now 1 fit, and take their room first.",
        "a/big of higher priority wait and fit nowhere: where the new replicas are in their way, these are evicted.",
    ]


def test_room_kept_for_a_nominated_pod() -> None:
    waiting = pod(cpu="4")
    waiting["status"]["nominatedNodeName"] = "n1"
    assert place(new(), 9, objects([node("n1")], [pod("n1", cpu="4", name="low"), waiting]))["fits"] == 0


def test_order_that_matters_is_said() -> None:
    nodes = [node("n1", zone="a"), node("n2", zone="a"), node("n3", "2", zone="b"), node("n4", "1", zone="b")]
    answer = place(new(topologySpreadConstraints=[spread(ZONE), spread(HOST, 2)]), 9, objects(nodes))
    fewer = [one for one in answer["assumptions"] if "first changes how many fit" in one]
    assert answer["fits"] == 7
    assert not fewer


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"schedulerName": "other"}, "the scheduler other"),
        ({"resourceClaims": [{"name": "x"}]}, "resourceClaims"),
        ({"runtimeClassName": "vm"}, "RuntimeClass vm"),
        ({"volumes": DATA}, "How many volumes a node can attach"),
    ],
)
def test_what_is_not_known_is_said(more: Object, says: str) -> None:
    assert says in " ".join(place(new(**more), 1, objects(THREE))["unknown"])


def test_lists_that_could_not_be_read_are_named() -> None:
    assert place(new(), 1, {"nodes": THREE, "pods": []})["unknown"] == [
        "The list of resourcequotas could not be read.",
        "The list of limitranges could not be read.",
    ]


def test_virtual_node_is_taken_on_trust() -> None:
    given = objects([node("v1", labels={"type": "virtual-kubelet"})])
    assert any("v1: a virtual node" in one for one in place(new(), 1, given)["assumptions"])


def deployment() -> tuple[Object, Object]:
    workload = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "a", "uid": "d"}, "spec": {}}
    owner = {"kind": "Deployment", "uid": "d", "controller": True}
    made = {"name": "web-1", "namespace": "a", "ownerReferences": [owner], "annotations": {"deployment.kubernetes.io/revision": "2"}}
    return workload, {"kind": "ReplicaSet", "metadata": {**made, "labels": {"app": "web", "pod-template-hash": "new"}}, "spec": {}}


def test_the_hash_of_the_newest_replicaset_counts() -> None:
    workload, newest = deployment()
    old = [pod("n1", {"app": "web", "pod-template-hash": "old"}, name=f"o{index}", cpu="1") for index in range(3)]
    given = objects(THREE[:2], old, replicasets=[newest])
    template = new(topologySpreadConstraints=[spread(ZONE, matchLabelKeys=["pod-template-hash"])])
    assert place(template, 20, given, controller=workload)["fits"] == 3
    reference = {"kind": "Deployment", "name": "web", "namespace": "a"}
    assert place(template, 20, {**given, "deployments": [workload]}, controller=reference)["fits"] == 3
    assert place(template, 20, given)["fits"] == 5  # without it the old pods count, and the empty zone fills up


def statefulset(replicas: int) -> Object:
    template = {"metadata": {"name": "data"}, "spec": claim(["ReadWriteOnce"])["spec"]}
    return {"kind": "StatefulSet", "metadata": {"name": "db", "namespace": "a"}, "spec": {"replicas": replicas, "volumeClaimTemplates": [template]}}


def test_each_replica_of_a_statefulset_has_its_volume() -> None:
    local = [volume("v1", HOST, "n1", modes="ReadWriteOnce"), volume("v2", HOST, "n2", modes="ReadWriteOnce")]
    given = objects(THREE, persistentvolumes=local, storageclasses=[storage("kubernetes.io/no-provisioner")])
    answer = place(new(volumes=DATA), 5, given, controller=statefulset(1))
    assert (answer["fits"], answer["binds_first"]["what"]) == (2, "volume")


def test_a_claim_that_an_earlier_replica_left() -> None:
    left = {**claim(["ReadWriteOnce"], "v"), "metadata": {"name": "data-db-1", "namespace": "a", "uid": "u"}}
    given = objects([node("n1", zone="a")], persistentvolumeclaims=[left], persistentvolumes=[volume("v", ZONE, "b")], storageclasses=[storage()])
    assert place(new(volumes=DATA), 3, given, controller=statefulset(1))["fits"] == 0
    assert place(new(volumes=DATA), 3, given, controller=statefulset(2))["fits"] == 3


def test_quota_of_claims() -> None:
    quota = in_namespace("q", {}, {"hard": {"requests.storage": "12Gi"}, "used": {}})
    given = objects(THREE, resourcequotas=[quota], storageclasses=[storage()])
    answer = place(new(volumes=DATA), 5, given, controller=statefulset(0))
    assert (answer["fits"], answer["quota"]["fits"], answer["binds_first"]["what"]) == (2, 2, "quota")


def test_a_thousand_pods() -> None:
    nodes = [node(f"n{index}", zone=f"z{index % 3}") for index in range(100)]
    pods = [pod(f"n{index % 100}", {"app": f"a{index // 20}"}, cpu="100m", affinity=far(term(HOST, f"a{index // 20}"))) for index in range(1000)]
    answer = place(new(topologySpreadConstraints=[spread(ZONE)]), 200, objects(nodes, pods))
    assert answer["fits"] == 200


def test_daemons_come_to_declared_nodes_first() -> None:
    daemon = {"metadata": {"name": "agent", "namespace": "a"}, "spec": {"template": pod(cpu="500m")}}
    more = [{"name": "big", "count": 2, "allocatable": {"cpu": "2", "memory": "4Gi"}}]
    assert place(new(), 20, objects(THREE, daemonsets=[daemon]), declared_nodes=more)["declared"] == {"fits": 14, "nodes": 2, "used": 2}


def test_labels_of_namespaces_that_could_not_be_read() -> None:
    given = objects(THREE, [pod("n1", cpu="1m", affinity=far(term(HOST, namespaceSelector={"matchLabels": {"team": "one"}})))])
    del given["namespaces"]
    assert any("list of namespaces" in one for one in place(new(), 1, given)["unknown"])
