# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Generated clusters for the comparison with the real scheduler: each case is a handful of simulated nodes, what lies on them, and one workload.

``case(number)`` is always the same case. All that belongs to it bears its name: nodes have it as a label and as a taint, so that many cases live
in one cluster. Each theme is one rule of the scheduler; sizes, room, zones and counts are drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.cluster import kwok

Object = dict[str, Any]
LABEL = "aiops-placement"  # of nodes, namespaces and all other objects: the case
CLASS = "aiops-placement-wait"
NEVER, HIGH, LOW = "aiops-placement-never", "aiops-placement-high", "aiops-placement-low"
GPU = "example.com/gpu"
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


@dataclass
class Case:
    """What to make. ``first`` lies in the cluster before the workload comes; ``later`` after the pods of ``first`` and before the workload."""

    name: str
    theme: str
    nodes: list[Object] = field(default_factory=list)
    first: list[Object] = field(default_factory=list)
    later: list[Object] = field(default_factory=list)
    template: Object = field(default_factory=dict)
    replicas: int = 0
    preempts: bool = False

    @property
    def namespace(self) -> str:
        return self.name

    def deployment(self) -> Object:
        labels = self.template["metadata"]["labels"]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": self.namespace, "labels": {LABEL: self.name}},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": labels["app"]}},
                "template": {"metadata": {"labels": labels}, "spec": self.template["spec"]},
            },
        }


class Maker:
    """Draws one case."""

    def __init__(self, number: int, theme: str) -> None:
        self.random = random.Random(7000 + number)
        self.case = Case(f"{LABEL}-{number:03}", theme)
        self.app = f"web-{number:03}"
        self.number = number
        self._nodes(moment="2026-01-01T00:00:00Z")
        self.case.first.append(namespace(self.case.name, self.case.name))
        for _pod in range(self.random.randint(0, 2 * len(self.case.nodes))):
            self.resident(app=self.random.choice(("cache", "queue", self.app)))
        self._workload()

    def _nodes(self, moment: str) -> None:
        draw, zones = self.random, self.random.randint(1, 3)
        for index in range(draw.randint(3, 6)):
            one = kwok.node(index, moment)
            name = f"{self.case.name}-n{index}"
            size = {
                "cpu": f"{draw.choice((1, 2, 3, 4, 6, 8))}",
                "memory": f"{draw.choice((2, 4, 8, 16))}Gi",
                "pods": f"{draw.choice((6, 9, 30, 110))}",
            }
            one["metadata"]["name"] = name
            one["metadata"]["labels"].update({HOST: name, LABEL: self.case.name, ZONE: f"{self.case.name}-{'abc'[index % zones]}"})
            one["spec"]["taints"].append({"key": LABEL, "value": self.case.name, "effect": "NoSchedule"})
            one["status"]["capacity"] = one["status"]["allocatable"] = {**one["status"]["allocatable"], **size}
            self.case.nodes.append(one)

    def _workload(self) -> None:
        draw = self.random
        asked = {"cpu": f"{draw.choice((100, 250, 300, 500, 700, 1100))}m", "memory": f"{draw.choice((64, 200, 500, 900, 1500))}Mi"}
        if draw.random() < 0.15:
            asked.pop(draw.choice(("cpu", "memory")))
        self.case.template = {"metadata": {"labels": {"app": self.app}}, "spec": self.specification([container("app", asked)])}
        self.case.replicas = draw.randint(6, 36)

    def specification(self, containers: list[Object], **more: Any) -> Object:
        tolerations = [{"key": kwok.LABEL, "operator": "Exists"}, {"key": LABEL, "operator": "Equal", "value": self.case.name}]
        return {
            "containers": containers,
            "nodeSelector": {LABEL: self.case.name},
            "tolerations": tolerations,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            **more,
        }

    # --- what themes use

    @property
    def spec(self) -> Object:
        found: Object = self.case.template["spec"]
        return found

    def affinity(self, kind: str, term: Object, spec: Object | None = None) -> None:
        target = self.spec if spec is None else spec
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        target.setdefault("affinity", {}).setdefault(kind, {}).setdefault(required, []).append(term)

    def term(self, key: str, app: str, **more: Any) -> Object:
        return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}

    def spread(self, key: str, skew: int, **more: Any) -> None:
        one = {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": self.app}}, **more}
        self.spec.setdefault("topologySpreadConstraints", []).append(one)

    def resident(self, app: str = "cache", node: Object | None = None, where: str = "", **more: Any) -> Object:
        """A pod that lies on a node already."""
        draw = self.random
        chosen = node or draw.choice(self.case.nodes)
        asked = {"cpu": f"{draw.choice((50, 200, 400, 900))}m", "memory": f"{draw.choice((50, 300, 700))}Mi"}
        spec = self.specification([container("app", {} if draw.random() < 0.1 else asked)], nodeName=chosen["metadata"]["name"], **more)
        del spec["nodeSelector"]
        count = sum(1 for one in self.case.first if one["kind"] == "Pod")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"old-{count}", "namespace": where or self.case.namespace, "labels": {"app": app, LABEL: self.case.name}},
            "spec": spec,
        }
        self.case.first.append(pod)
        return pod

    def add(self, kind: str, version: str, spec: Object, name: str = "one", *, later: bool = False, inside: bool = True) -> Object:
        metadata = {"name": name if inside else f"{self.case.name}-{name}", "labels": {LABEL: self.case.name}}
        made = {"apiVersion": version, "kind": kind, "metadata": {**metadata, **({"namespace": self.case.namespace} if inside else {})}, "spec": spec}
        (self.case.later if later else self.case.first).append(made)
        return made

    def volume(self, terms: list[Object], modes: list[str], *, claim: bool = True, size: int = 5, storage: str = "") -> Object:
        """A volume that can be reached from some nodes; with ``claim`` it is bound to the claim ``data``."""
        spec: Object = {
            "capacity": {"storage": f"{size}Gi"},
            "accessModes": modes,
            "hostPath": {"path": "/nowhere"},
            "storageClassName": storage,
            "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
            **({"claimRef": {"namespace": self.case.namespace, "name": "data"}} if claim else {}),
        }
        count = sum(1 for one in self.case.first if one["kind"] == "PersistentVolume")
        return self.add("PersistentVolume", "v1", spec, f"v{count}", inside=False)

    def claim(self, modes: list[str], storage: str = "", volume: str = "") -> None:
        spec = {"accessModes": modes, "resources": {"requests": {"storage": "3Gi"}}, "storageClassName": storage}
        self.add("PersistentVolumeClaim", "v1", {**spec, **({"volumeName": volume} if volume else {})}, "data")
        self.spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]


def container(name: str, requests: Object, limits: Object | None = None, **more: Any) -> Object:
    return {"name": name, "image": "registry.example/app:1", "resources": {"requests": requests, **({"limits": limits} if limits else {})}, **more}


def namespace(name: str, case: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: case, **labels}}}


# --- themes: what each adds to nodes, residents and workload


def plain(make: Maker) -> None:
    """Room only."""


def taints(make: Maker) -> None:
    draw = make.random
    for node in make.case.nodes:
        for key, effect in draw.sample((("team", "NoSchedule"), ("spot", "NoExecute"), ("old", "PreferNoSchedule")), draw.randint(0, 2)):
            node["spec"]["taints"].append({"key": key, "value": draw.choice(("a", "b")), "effect": effect})
    make.spec["tolerations"] += draw.sample(
        [
            {"key": "team", "operator": "Equal", "value": "a", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists"},
            {"key": "team", "value": "b"},
        ],
        draw.randint(0, 2),
    )
    draw.choice(make.case.nodes)["spec"]["unschedulable"] = True


def labels(make: Maker) -> None:
    draw = make.random
    for node in make.case.nodes:
        node["metadata"]["labels"].update({"disk": draw.choice(("ssd", "hdd")), "cores": str(draw.randint(1, 9))})
        if draw.random() < 0.4:
            node["metadata"]["labels"]["special"] = ""
    first = make.case.nodes[0]["metadata"]["name"]
    terms = [
        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}, {"key": "cores", "operator": "Gt", "values": ["3"]}]},
        {"matchExpressions": [{"key": "special", "operator": "DoesNotExist"}, {"key": "disk", "operator": "NotIn", "values": ["ssd"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [first]}]},
        {"matchExpressions": [{"key": "special", "operator": "Exists"}, {"key": "cores", "operator": "Lt", "values": ["7"]}]},
    ]
    required = {"nodeSelectorTerms": draw.sample(terms, draw.randint(1, 2))}
    make.spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def alone_on_node(make: Maker) -> None:
    make.affinity("podAntiAffinity", make.term(HOST, make.app))


def alone_in_zone(make: Maker) -> None:
    make.affinity("podAntiAffinity", make.term(ZONE, make.app))


def kept_away(make: Maker) -> None:
    """Pods that lie there already keep the new ones off their node or zone; some of them from another namespace."""
    other = f"{make.case.name}-b"
    make.case.first.append(namespace(other, make.case.name, team="b"))
    scopes: list[Object] = [
        {},
        {"namespaces": [make.case.namespace]},
        {"namespaceSelector": {}},
        {"namespaceSelector": {"matchLabels": {"team": "none"}}},
    ]
    for _pod in range(make.random.randint(1, 3)):
        spec: Object = {}
        key = make.random.choice((HOST, HOST, ZONE))
        make.affinity("podAntiAffinity", make.term(key, make.app, **make.random.choice(scopes)), spec)
        make.resident("guard", where=make.random.choice(("", other)), **spec)


def near_others(make: Maker) -> None:
    """The new pods have to be near some that lie there already."""
    make.resident("backend")
    make.affinity("podAffinity", make.term(make.random.choice((HOST, ZONE)), "backend"))
    if make.random.random() < 0.4:
        make.affinity("podAntiAffinity", make.term(HOST, "cache"))


def near_themselves(make: Maker) -> None:
    """The new pods have to be near each other: the first one decides."""
    make.case.first = [one for one in make.case.first if one["metadata"]["labels"].get("app") != make.app]
    make.affinity("podAffinity", make.term(make.random.choice((HOST, ZONE, ZONE)), make.app))


def over_zones(make: Maker) -> None:
    make.spread(ZONE, make.random.randint(1, 3))


def over_nodes(make: Maker) -> None:
    make.spread(HOST, make.random.randint(1, 3))


def over_both(make: Maker) -> None:
    make.spread(ZONE, make.random.randint(1, 2))
    make.spread(HOST, make.random.randint(1, 3))


def over_few(make: Maker) -> None:
    """Policies and the least number of domains."""
    draw = make.random
    for node in draw.sample(make.case.nodes, 1):
        node["spec"]["taints"].append({"key": "team", "value": "a", "effect": "NoSchedule"})
    more: Object = {"nodeTaintsPolicy": draw.choice(("Honor", "Ignore")), "nodeAffinityPolicy": draw.choice(("Honor", "Honor", "Ignore"))}
    if draw.random() < 0.5:
        more["minDomains"] = draw.randint(2, 4)
    if draw.random() < 0.3:
        more["matchLabelKeys"] = ["pod-template-hash"]
    make.spread(ZONE, draw.randint(1, 3), **more)


def over_zones_alone(make: Maker) -> None:
    make.spread(ZONE, 1)
    make.affinity("podAntiAffinity", make.term(HOST, make.app))


def ports(make: Maker) -> None:
    draw = make.random
    make.spec["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8080}]
    if draw.random() < 0.5:
        make.spec["containers"][0]["ports"].append({"containerPort": 81, "hostPort": 9090, "protocol": "UDP"})
    for node in draw.sample(make.case.nodes, draw.randint(0, 2)):
        pod = make.resident("edge", node)
        pod["spec"]["containers"][0]["ports"] = [
            draw.choice(
                (
                    {"containerPort": 80, "hostPort": 8080},
                    {"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"},
                    {"containerPort": 80, "hostPort": 9090, "protocol": "TCP"},
                    {"containerPort": 80, "hostPort": 9090, "protocol": "UDP"},
                )
            )
        ]


def devices(make: Maker) -> None:
    draw = make.random
    for node in make.case.nodes:
        if draw.random() < 0.7:
            node["status"]["allocatable"][GPU] = node["status"]["capacity"][GPU] = str(draw.randint(1, 8))
    asked = {GPU: str(draw.randint(1, 2))}
    resources = make.spec["containers"][0]["resources"]
    resources["requests"].update(asked)
    resources["limits"] = asked


def quota(make: Maker) -> None:
    draw = make.random
    resources = {"cpu": f"{draw.choice((100, 300, 500))}m", "memory": f"{draw.choice((100, 300))}Mi"}
    limits = {"cpu": "1", "memory": f"{draw.choice((400, 800))}Mi"}
    make.spec["containers"] = [container("app", resources, limits)]
    if draw.random() < 0.3:
        make.spec["initContainers"] = [container("init", {"cpu": "600m", "memory": "100Mi"}, limits)]
    hard = draw.choice(
        (
            {"requests.cpu": f"{draw.randint(2, 8)}", "pods": "60"},
            {"limits.memory": f"{draw.randint(3, 12)}Gi"},
            {"count/pods": f"{draw.randint(6, 30)}"},
            {"pods": f"{draw.randint(5, 30)}", "requests.memory": f"{draw.randint(2, 9)}Gi"},
            {"cpu": f"{draw.randint(2, 9)}", "limits.cpu": f"{draw.randint(5, 20)}"},
            {"requests.ephemeral-storage": "1Gi", "requests.cpu": "4"},
        )
    )
    scope: Object = draw.choice(({}, {}, {"scopes": ["NotBestEffort"]}, {"scopes": ["Terminating"]}, {"scopes": ["NotTerminating"]}))
    if scope == {} and draw.random() < 0.4:
        make.spec["priorityClassName"] = NEVER
        operator = draw.choice(({"operator": "In", "values": [NEVER]}, {"operator": "NotIn", "values": [NEVER]}))
        scope = {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", **operator}]}}
    if "requests.ephemeral-storage" in hard:
        scope = {}  # scopes do not go with it
    if "requests.ephemeral-storage" in hard and draw.random() < 0.5:
        resources["ephemeral-storage"] = "150Mi"
    make.add("ResourceQuota", "v1", {"hard": hard, **scope}, later=True)


def limit_range(make: Maker) -> None:
    draw = make.random
    requests = make.spec["containers"][0]["resources"]["requests"]
    if draw.random() < 0.5:
        requests.pop(draw.choice(("cpu", "memory")), None)
    item: Object = draw.choice(
        (
            {"type": "Container", "defaultRequest": {"cpu": "350m", "memory": "400Mi"}},
            {"type": "Container", "default": {"cpu": "1200m", "memory": "1600Mi"}},
            {"type": "Container", "max": {"cpu": "2", "memory": "2Gi"}},
            {"type": "Container", "min": {"cpu": "150m", "memory": "100Mi"}},
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "3"}, "default": {"cpu": "1"}, "defaultRequest": {"cpu": "400m"}},
            {"type": "Pod", "max": {"cpu": "1"}},
        )
    )
    if item["type"] == "Pod":
        make.spec["containers"][0]["resources"]["limits"] = {"cpu": draw.choice(("1100m", "1"))}
        requests["cpu"] = "300m"
    make.add("LimitRange", "v1", {"limits": [item]}, later=True)


def volumes(make: Maker) -> None:
    """A claim that is bound to a volume of some nodes."""
    nodes = [one["metadata"]["name"] for one in make.case.nodes]
    zone = make.random.choice(make.case.nodes)["metadata"]["labels"][ZONE]
    terms = make.random.choice(
        (
            [{"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}],
            [{"matchExpressions": [{"key": HOST, "operator": "In", "values": nodes[:2]}]}],
            [{"matchExpressions": [{"key": HOST, "operator": "In", "values": nodes[-1:]}]}],
        )
    )
    volume = make.volume(terms, ["ReadWriteMany"])
    if make.random.random() < 0.4:
        volume["metadata"]["labels"][ZONE] = zone
    make.claim(["ReadWriteMany"], volume=volume["metadata"]["name"])


def volumes_of_first(make: Maker) -> None:
    """A claim that gets its volume when the first pod comes: the first one decides."""
    for node in make.random.sample(make.case.nodes, make.random.randint(1, 2)):
        terms = [{"matchExpressions": [{"key": HOST, "operator": "In", "values": [node["metadata"]["name"]]}]}]
        make.volume(terms, ["ReadWriteMany"], claim=False, size=make.random.choice((1, 5, 9)), storage=f"{CLASS}-{make.number:03}")
    make.case.first.append(waiting_class(make.number, make.case.name))
    make.claim(["ReadWriteMany"], storage=f"{CLASS}-{make.number:03}")


def one_pod_volume(make: Maker) -> None:
    terms = [{"matchExpressions": [{"key": LABEL, "operator": "In", "values": [make.case.name]}]}]
    volume = make.volume(terms, ["ReadWriteOncePod"])
    make.claim(["ReadWriteOncePod"], volume=volume["metadata"]["name"])
    if make.random.random() < 0.5:
        make.resident("user", volumes=make.spec["volumes"])


def init_and_sidecar(make: Maker) -> None:
    draw = make.random
    sidecar = container("sidecar", {"cpu": f"{draw.choice((50, 150))}m", "memory": "100Mi"}, restartPolicy="Always")
    greedy = container("init", {"cpu": f"{draw.choice((100, 900))}m", "memory": f"{draw.choice((50, 1200))}Mi"})
    make.spec["initContainers"] = draw.sample([sidecar, greedy], draw.randint(1, 2))
    make.spec["containers"].append(container("second", {"cpu": "50m"}))


def few_pods(make: Maker) -> None:
    for node in make.case.nodes:
        node["status"]["allocatable"]["pods"] = str(make.random.randint(3, 7))
    make.spec["containers"] = [container("app", {"cpu": "20m"} if make.random.random() < 0.5 else {})]


def storage_and_ruin(make: Maker) -> None:
    """Local storage, and a node that is not ready."""
    make.spec["containers"][0]["resources"]["requests"]["ephemeral-storage"] = f"{make.random.choice((10, 20, 40))}Gi"
    broken = make.random.choice(make.case.nodes)
    del broken["metadata"]["labels"][kwok.LABEL]  # nobody reports for it
    broken["status"]["conditions"] = [{**one, "status": "False"} if one["type"] == "Ready" else one for one in broken["status"]["conditions"]]


def not_pushing(make: Maker) -> None:
    """More important than what lies there, but pushes nobody out; something more important waits in vain."""
    make.spec["priorityClassName"] = NEVER
    for one in make.case.first:
        if one["kind"] == "Pod":
            one["spec"]["priorityClassName"] = LOW
    waiting = make.resident("vain")
    del waiting["spec"]["nodeName"]
    waiting["spec"]["nodeSelector"] = {LABEL: make.case.name}
    waiting["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "90"}


def wishes(make: Maker) -> None:
    """Preferences only change where, and soft spread as well, unless the zones are also bound."""
    draw = make.random
    preferred = [{"weight": draw.randint(1, 100), "podAffinityTerm": make.term(ZONE, draw.choice(("cache", make.app)))}]
    make.spec["affinity"] = {draw.choice(("podAffinity", "podAntiAffinity")): {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    make.spread(HOST, 1, whenUnsatisfiable="ScheduleAnyway")
    make.spread(ZONE, draw.randint(1, 2))


def mixed(make: Maker) -> None:
    """Several rules at once."""
    for theme in make.random.sample((taints, alone_on_node, kept_away, over_zones, over_nodes, ports, devices, init_and_sidecar, near_others), 2):
        theme(make)


def pushing(make: Maker) -> None:
    """Pushes others out where it must: what fits without is told apart from what the scheduler does."""
    make.case.preempts = True
    make.spec["priorityClassName"] = HIGH
    for node in make.case.nodes:
        make.resident("victim", node)
    for one in make.case.first:
        if one["kind"] == "Pod":
            one["spec"]["priorityClassName"] = LOW
    make.case.replicas = 40


THEMES: tuple[Callable[[Maker], None], ...] = (
    plain,
    taints,
    labels,
    alone_on_node,
    alone_in_zone,
    kept_away,
    near_others,
    near_themselves,
    over_zones,
    over_nodes,
    over_both,
    over_few,
    over_zones_alone,
    ports,
    devices,
    quota,
    limit_range,
    volumes,
    volumes_of_first,
    one_pod_volume,
    init_and_sidecar,
    few_pods,
    storage_and_ruin,
    not_pushing,
    wishes,
    mixed,
)


def case(number: int) -> Case:
    theme = THEMES[number % len(THEMES)]
    make = Maker(number, theme.__name__)
    theme(make)
    return make.case


def pushing_case(number: int) -> Case:
    make = Maker(number, pushing.__name__)
    pushing(make)
    return make.case


def waiting_class(number: int, name: str) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": f"{CLASS}-{number:03}", "labels": {LABEL: name}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def shared() -> list[Object]:
    """What all cases use."""
    classes = ((NEVER, 1000, "Never"), (HIGH, 1000, "PreemptLowerPriority"), (LOW, -10, "PreemptLowerPriority"))
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name, "labels": {LABEL: "shared"}},
            "value": value,
            "preemptionPolicy": policy,
        }
        for name, value, policy in classes
    ]
