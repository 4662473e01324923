# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What may be resized in place, what is refused and why, and what the plan of a resize says. tests/integration/test_resize.py carries it out."""

from __future__ import annotations

import copy
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, change, checks, patch, plan as plans, resizable
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples
from tests.unit.operation.server import WEB, Server
from tests.unit.operation.test_execute import MINUTE_6, approved

RS = "/apis/apps/v1/namespaces/shop/replicasets/web-new"
PODS = "/api/v1/namespaces/shop/pods"
BEFORE = {"limits": {"cpu": "1", "memory": "64Mi"}}
AFTER = {"limits": {"cpu": "500m", "memory": "96Mi"}}
Object = dict[str, Any]
NAMES = ("web-a", "web-b", "web-c")


class Scene:
    """A Deployment, its ReplicaSet, its pods, and what it should become. ``main`` are the containers of each."""

    def __init__(self) -> None:
        self.live = samples.deployment()
        self.live["spec"]["selector"] = {"matchLabels": {"app": "web"}}
        self.live["status"].update(replicas=3, updatedReplicas=3)
        self.main(self.live["spec"]["template"])["resources"] = copy.deepcopy(BEFORE)
        template = copy.deepcopy(self.live["spec"]["template"])
        template["metadata"]["labels"]["pod-template-hash"] = "new"
        self.replicaset: Object = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": self.metadata("web-new", "uid-web"),
            "spec": {"template": template},
        }
        self.pods: list[Object] = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": self.metadata(name, "uid-web-new"),
                "spec": {"containers": [{**self.main(template), "resources": {**BEFORE, "requests": dict(BEFORE["limits"])}}]},
                "status": {"phase": "Running"},
            }
            for name in NAMES
        ]
        self.desired = copy.deepcopy(self.live)
        self.main(self.desired["spec"]["template"])["resources"] = copy.deepcopy(AFTER)

    @staticmethod
    def main(template: Object) -> Object:
        found: Object = template["spec"]["containers"][0]
        return found

    @staticmethod
    def metadata(name: str, owner: str) -> Object:
        return {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "5", "ownerReferences": [{"uid": owner}]}

    def wants(self, **resources: Any) -> None:
        self.main(self.desired["spec"]["template"])["resources"] = resources

    def has(self, **container: Any) -> None:
        for template in (self.live["spec"]["template"], self.desired["spec"]["template"], self.replicaset["spec"]["template"], *self.pods):
            self.main(template).update(copy.deepcopy(container))

    def refusal(self) -> str:
        return resizable.refusal(self.live, self.desired, self.replicaset, self.pods)

    def change(self) -> Object:
        return plans.resize_change("C1", self.live, self.desired, self.replicaset, self.pods)


REFUSED: list[tuple[str, Callable[[Scene], object], str]] = [
    ("a StatefulSet", lambda one: one.live.update(kind="StatefulSet"), "the revisions of a StatefulSet cannot be changed"),
    ("a DaemonSet", lambda one: one.live.update(kind="DaemonSet"), "the revisions of a DaemonSet cannot be changed"),
    ("paused", lambda one: one.live["spec"].update(paused=True), "deployment/web is paused"),
    ("a rollout", lambda one: one.live["status"].update(updatedReplicas=1), "a rollout of deployment/web is not over"),
    ("not seen", lambda one: one.live["metadata"].update(generation=4), "a rollout of deployment/web is not over"),
    (
        "another template",
        lambda one: one.replicaset["spec"]["template"]["spec"].update(hostNetwork=True),
        "does not have the template of deployment/web",
    ),
    ("of somebody else", lambda one: one.replicaset["metadata"].update(ownerReferences=[]), "does not have the template"),
    ("a pod too few", lambda one: one.pods.pop(), "deployment/web wants 3 pods of its newest revision, and there are 2"),
    ("a pod of another", lambda one: one.pods[0]["metadata"].update(ownerReferences=[]), "wants 3 pods of its newest revision"),
    ("a pod that starts", lambda one: one.pods[1]["status"].update(phase="Pending"), "pod/web-b does not run yet"),
    (
        "another image",
        lambda one: Scene.main(one.desired["spec"]["template"]).update(image="x"),
        "more than the resources of containers would change",
    ),
    ("nothing", lambda one: one.wants(**BEFORE), "nothing would change"),
    ("a disk", lambda one: one.wants(limits={**AFTER["limits"], "ephemeral-storage": "1Gi"}), "ephemeral-storage of container app would change"),
    ("no CPU limit", lambda one: one.wants(limits={"memory": "96Mi"}), "the cpu limit of container app would be removed"),
    (
        "a restart",
        lambda one: one.has(resizePolicy=[{"resourceName": "memory", "restartPolicy": "RestartContainer"}]),
        "restarted when its memory changes",
    ),
    ("a class", lambda one: one.wants(**AFTER, requests={"cpu": "100m"}), "pod/web-a would change its QoS class from Guaranteed to Burstable"),
    (
        "a pod of its own size",
        lambda one: one.pods[2]["spec"]["containers"][0].update(resources=AFTER),
        "pod/web-c has other resources than its template",
    ),
    ("a size of the pod", lambda one: one.pods[0]["spec"].update(resources={"limits": {"cpu": "1"}}), "has resources of its own"),
]


@pytest.mark.parametrize("what, spoil, reason", REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_by_name(what: str, spoil: Callable[[Scene], object], reason: str) -> None:
    scene = Scene()
    spoil(scene)
    assert reason in scene.refusal()
    with pytest.raises(GateRefused, match="cannot be resized in place"):
        scene.change()


def test_a_restart_that_another_resource_asks_for_stands_in_no_way() -> None:
    scene = Scene()
    scene.has(resizePolicy=[{"resourceName": "memory", "restartPolicy": "RestartContainer"}])
    scene.wants(limits={**BEFORE["limits"], "cpu": "500m"})
    assert scene.refusal() == ""


def test_what_the_plan_says() -> None:
    scene = Scene()
    made = scene.change()
    lines = {line["path"]: (line["before"], line["after"]) for line in made["outcome"]}
    assert lines["spec.template.spec.containers[app].resources.limits.memory"] == ("64Mi", "96Mi")
    assert lines["pods web-a, web-b, web-c: spec.containers[app].resources.requests.memory"] == ("64Mi", "96Mi"), "a request that was copied follows"
    assert [one["object"]["uid"] for one in made["pods"]] == [f"uid-{name}" for name in NAMES] and actions.bound(made)
    assert plans.risk_of([made], 3) == ("medium", ["resizes 3 pods of deployment web in place; no pod is replaced"])
    proof = checks.with_resized(samples.plan()["checks"], made)
    assert checks.describe(proof[1]).endswith("and app runs with the new resources, not restarted")
    assert plans.validate(samples.plan([made]))


@pytest.mark.parametrize("spoil", [lambda made: made["replicaset"], lambda made: made["pods"][2]], ids=["replicaset", "pod"])
def test_every_part_is_bound_to_its_object(spoil: Callable[[Object], Object]) -> None:
    made = Scene().change()
    spoil(made)["inverse"].pop(0)
    assert not actions.bound(made)
    with pytest.raises(BadInput, match="does not test the uid"):
        plans.validate(samples.plan([made]))


def test_a_cluster_that_cannot_is_named() -> None:
    server = Server()
    server.put("/api/v1", {"resources": [{"name": "pods"}, {"name": "pods/log"}]})
    server.put("/version", {"gitVersion": "v1.32.4"})
    assert resizable.supported(server) == "the API server (v1.32.4) does not serve pods/resize, which Kubernetes does since 1.33"
    server.put("/api/v1", {"resources": [{"name": "pods/resize"}]})
    assert resizable.supported(server) == ""


@pytest.fixture
def server() -> Server:
    """The scene, with a controller that sees everything at once, and pods under their own paths, their resize, and their list."""
    scene, made = Scene(), Server()
    made.put(WEB, scene.live)
    made.put(RS, scene.replicaset)
    for pod in scene.pods:
        made.put(f"{PODS}/{pod['metadata']['name']}", pod)

    def controller(_method: str, path: str) -> None:
        live, replicaset = made.objects[WEB], made.objects[RS]
        fits = Scene.main(live["spec"]["template"]) == Scene.main(replicaset["spec"]["template"])
        live["status"].update(observedGeneration=live["metadata"]["generation"], updatedReplicas=3 if fits else 0)
        if not fits and not live["spec"].get("paused"):
            made.objects["rollout"] = {}
        for name in NAMES:
            pod, resized = f"{PODS}/{name}", f"{PODS}/{name}/resize"
            if resized in made.objects and made.objects[resized]["metadata"]["resourceVersion"] != made.objects[pod]["metadata"]["resourceVersion"]:
                made.objects[pod] = copy.deepcopy(made.objects[resized])
            made.objects[resized] = copy.deepcopy(made.objects[pod])
        made.objects[PODS] = {"items": [made.objects[f"{PODS}/{name}"] for name in NAMES]}

    made.faults.append(controller)
    return made


def sizes(server: Server) -> list[str]:
    specs = [
        server.objects[WEB]["spec"]["template"],
        server.objects[RS]["spec"]["template"],
        *(server.objects[f"{PODS}/{name}/resize"] for name in NAMES),
    ]
    return [Scene.main(one)["resources"]["limits"]["memory"] for one in specs]


WRITES = [f"PATCH {one}" for one in (WEB, RS, WEB, *(f"{PODS}/{name}/resize" for name in NAMES))]


def test_in_which_order_it_is_made_and_undone(server: Server, store: Directory) -> None:
    prepared, missing = actions.prepare(server, Scene().change(), server.objects[WEB])
    record = approved(store, samples.plan([prepared]))
    change.execute(server, store, record, MINUTE_6, Rules())
    assert not missing and server.log == WRITES and sizes(server) == ["96Mi"] * 5
    assert patch.mark_of(server.objects[WEB]) == ("004/0001", record.digest) and "paused" not in server.objects[WEB]["spec"]
    store.append(record, "failed", {"phase": "watch", "reason": "too small", "applied": True})
    assert change.invert(server, store, record, "too small")["changes"] == [{"id": "C1", "result": "undone"}]
    assert (
        server.log == WRITES * 2 and sizes(server) == ["64Mi"] * 5 and "paused" not in server.objects[WEB]["spec"] and "rollout" not in server.objects
    )


def test_a_refused_step_is_undone_at_once(server: Server, store: Directory) -> None:
    """Nobody finds a paused Deployment the next morning."""
    record = approved(store, samples.plan([Scene().change()]))

    def fault(method: str, path: str) -> None:
        if (method, path) == ("PATCH", f"{PODS}/web-b/resize"):
            raise ApiError(422, "Invalid", "this node says no", f"PATCH {path}")

    server.faults.append(fault)
    with pytest.raises(GateRefused, match="this node says no.* It was undone"):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert record.state == "rolled_back" and sizes(server) == ["64Mi"] * 5 and "paused" not in server.objects[WEB]["spec"]


def test_an_approval_that_ends_while_it_is_half_made_takes_it_back(server: Server, store: Directory) -> None:
    record = approved(store, samples.plan([Scene().change()]))

    def kill(method: str, path: str) -> None:
        if (method, path) == ("PATCH", RS):
            raise KeyboardInterrupt

    server.lost.append(kill)
    with pytest.raises(KeyboardInterrupt):
        change.execute(server, store, record, MINUTE_6, Rules())
    server.lost.clear()
    assert server.objects[WEB]["spec"]["paused"] is True
    record = store.load("1")
    with pytest.raises(GateRefused, match="its approval expired at .* It was undone"):
        change.execute(server, store, record, samples.at(300), Rules())
    assert record.state == "rolled_back" and sizes(server) == ["64Mi"] * 5 and "paused" not in server.objects[WEB]["spec"]


DRIFTED: list[tuple[Callable[[Server], object], str]] = [
    (lambda server: server.touch(WEB, generation=9), "deployment/web is not as it was: metadata.generation"),
    (lambda server: server.touch(RS, uid="another"), "replicaset/web-new is not as it was"),
    (lambda server: server.touch(f"{PODS}/web-b", uid="another"), "pod/web-b is not as it was: it does not exist any more; pod/web-b came since"),
    (lambda server: Scene.main(server.objects[f"{PODS}/web-c"])["resources"]["limits"].update(memory="1Gi"), "pod/web-c is not as it was"),
]


@pytest.mark.parametrize("happens, says", DRIFTED, ids=["scaled", "replicaset", "pod replaced", "pod resized"])
def test_what_moved_on_is_found_before_anything_is_changed(server: Server, store: Directory, happens: Callable[[Server], object], says: str) -> None:
    record = approved(store, samples.plan([Scene().change()]))
    happens(server)
    with pytest.raises(GateRefused, match=says):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert server.log == [] and record.state == "approved"


def test_whoever_resizes_needs_four_rights(server: Server) -> None:
    server.allowed = False
    _change, missing = actions.prepare(server, Scene().change(), server.objects[WEB])
    for right in ("patch deployments", "patch replicasets", "patch pods/resize", "list pods"):
        assert f"may not {right} in namespace shop" in missing


def state(memory: str | None, restarts: int = 0, resize: str = "") -> Object:
    has = {} if memory is None else {"limits": {"cpu": "0.5", "memory": memory}}
    pod = {"name": "web-a", "uid": "uid-web-a", "ready": True, "current": True, "restarts": restarts, "reasons": [], "resize": resize}
    there = {"exists": True, "uid": "uid-web", "annotations": {}, "settled": True, "wanted": 1, "updated": 1, "available": 1}
    return {**there, "pods": [{**pod, "containers": {"app": {"wanted": {}, "has": has}}}]}


def test_proven_when_every_container_runs_with_its_new_size() -> None:
    wanted = [{**one, "hold_seconds": 0, "failing": []} for one in checks.with_resized(samples.plan()["checks"], Scene().change())]
    progress = checks.Progress()
    assert checks.validate(progress, wanted, state("64Mi", 2), 1.0).verdict == "pending", "restarts of long ago do not count"
    assert checks.validate(progress, wanted, state("96Mi", 2), 2.0).verdict == "passed"


@pytest.mark.parametrize(
    "seen, elapsed, says",
    [
        (
            state("64Mi", resize="Infeasible: Node didn't have enough capacity"),
            500.0,
            "the memory limit 64Mi instead of 96Mi (Infeasible: Node didn't",
        ),
        (state(None), 500.0, "app of web-a runs with the cpu limit none instead of 500m"),
        (state("96Mi", 3), 2.0, "a container of web-a restarted"),
    ],
    ids=["no room", "not said", "restarted"],
)
def test_not_proven(seen: Object, elapsed: float, says: str) -> None:
    wanted = [{**one, "failing": []} for one in checks.with_resized(samples.plan()["checks"], Scene().change())]
    progress = checks.validate(checks.Progress(), wanted, state("64Mi", 2), 1.0)
    assert checks.validate(progress, wanted, seen, elapsed).verdict == "failed" and says in progress.reason
