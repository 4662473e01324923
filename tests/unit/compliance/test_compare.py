# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records against objects, case by case, with the HTTP of an API server in memory; tests/integration does the same on a real one."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import FIELD_MANAGER, METADATA, ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import report
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.checklist import CLUSTER
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, patch, record as chain

from tests.unit.compliance import building
from tests.unit.compliance.building import ENDED, FEATURE, POD, REJECTED, SIGNED
from tests.unit.compliance.conftest import Stage
from tests.unit.operation import samples, server

WEB, API, MAIL = (f"/apis/apps/v1/namespaces/shop/deployments/{name}" for name in ("web", "api", "mail"))
GONE = "/api/v1/namespaces/shop/pods/web-1"
ELSEWHERE = "/apis/apps/v1/namespaces/shop/deployments/other"
REPLICAS = "/apis/batch/v1/namespaces/shop/jobs/web-abc"


class Cluster(server.Server):
    """Lists are made of the objects; ``forbidden``: resources that may not be listed everywhere; ``accepted``: what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: set[str] = set()
        self.accepted: set[str] = set()
        self.clock_skew = 0.0

    def _send(self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, content_type: str, accept: str, timeout: float) -> bytes:
        if path not in self.objects and (query or {}).get("limit"):
            self.accepted.add(accept)
        return super()._send(method, path, query, body, content_type, accept, timeout)

    def _get(self, path: str, body: Any, dry: bool) -> Any:
        if path in ("/apis/autoscaling/v2",):
            return {"resources": [{"kind": "HorizontalPodAutoscaler", "name": "horizontalpodautoscalers"}]}
        group, _slash, resource = path.rpartition("/")
        if path in self.objects or resource not in ("deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "horizontalpodautoscalers"):
            return super()._get(path, body, dry)
        everywhere = "/namespaces/" not in group
        if everywhere and resource in self.forbidden:
            raise ApiError(403, "Forbidden", f"{resource} is forbidden", f"GET {path}")
        prefix = group if everywhere else path
        return {"items": [one for name, one in self.objects.items() if name.startswith(f"{prefix}/") and name.split("/")[-2] == resource]}


@dataclass
class Scene:
    stage: Stage
    api: Cluster

    def run(self, **wanted: Any) -> dict[str, Any]:
        return self.stage.run(self.api, **wanted)

    def digest(self, position: int) -> str:
        return str(self.stage.drafts[position][0]["payload"]["digest"])

    def live(self, name: str, position: int, memory: str = "128Mi", event: int = 3) -> dict[str, Any]:
        """The object as a record's change left it."""
        written = clock.parse(self.stage.drafts[position][event]["time"]).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = samples.deployment(memory)
        marks = {patch.RECORD_ANNOTATION: f"{FEATURE}/{position + 1:04d}", patch.DIGEST_ANNOTATION: self.digest(position)}
        made["metadata"] |= {
            "name": name,
            "uid": f"uid-{name}",
            "generation": self.stage.drafts[position][0]["payload"]["plan"]["changes"][0]["patch"][1]["value"] + 1,
        }
        made["metadata"] |= {"annotations": marks, "managedFields": [{"manager": FIELD_MANAGER, "operation": "Update", "time": written}]}
        return made


@pytest.fixture
def scene(stage: Stage) -> Scene:
    """The cluster that the healthy store is about."""
    made = Scene(stage, Cluster())
    made.api.put(WEB, made.live("web", building.ROLLBACK))
    made.api.put(API, made.live("api", SIGNED))
    made.api.put(MAIL, samples.deployment() | {"metadata": {"name": "mail", "namespace": "shop", "uid": "uid-mail", "generation": 3}})
    return made


def test_nothing_is_found_where_records_and_cluster_agree(scene: Scene) -> None:
    document = scene.run()
    assert document["findings"] == []
    assert document["cluster"] == samples.CLUSTER
    assert document["coverage"]["compared"] == 8 and not document["coverage"]["not_evaluated"]
    assert {one["code"]: one["checked"] for one in document["checks"] if one["code"].startswith("C")} == {
        "C01": 2,
        "C02": 2,
        "C03": 2,
        "C04": 3,
        "C05": 3,
        "C06": 6,
    }
    assert scene.api.accepted == {METADATA} and not scene.api.log


Change = Callable[[Scene], Any]


@dataclass
class Case:
    name: str
    codes: set[str]
    change: Change
    says: str = ""
    severity: str = "error"
    percent: float = 100.0


def meta(path: str, **more: Any) -> Change:
    return lambda scene: scene.api.objects[path]["metadata"].update(more)


def marked(path: str, **marks: str) -> Change:
    names = {"record": patch.RECORD_ANNOTATION, "digest": patch.DIGEST_ANNOTATION}
    return lambda scene: scene.api.objects[path]["metadata"].setdefault("annotations", {}).update({names[key]: value for key, value in marks.items()})


def wrote(scene: Scene, path: str, moment: str) -> None:
    scene.api.objects[path]["metadata"]["managedFields"] = [{"manager": FIELD_MANAGER, "operation": "Update", "time": moment}]


def later_by(**duration: float) -> Change:
    return lambda scene: wrote(scene, API, clock.later(scene.api.objects[API]["metadata"]["managedFields"][0]["time"], **duration)[:-5] + "Z")


def without_marks(scene: Scene) -> None:
    scene.api.objects[API]["metadata"]["annotations"] = {"team": "a"}


def without_marks_and_manager(scene: Scene) -> None:
    without_marks(scene)
    scene.api.objects[API]["metadata"]["managedFields"] = []


def somebody_elses(scene: Scene) -> None:
    """Another object, changed as aiops.k8s."""
    made = scene.live("other", SIGNED)
    made["metadata"]["annotations"] = {}
    scene.api.put(ELSEWHERE, made)


def with_a_copied_mark(scene: Scene) -> None:
    scene.api.put(ELSEWHERE, scene.live("other", SIGNED))


def inherited(scene: Scene) -> None:
    """What a controller makes has the annotations of its owner."""
    made = scene.live("web-abc", SIGNED)
    made["metadata"] |= {
        "managedFields": [{"manager": "kube-controller-manager", "time": "2026-01-01T00:00:00Z"}],
        "ownerReferences": [{"controller": True}],
    }
    made["metadata"]["annotations"][patch.DIGEST_ANNOTATION] = "unknown"
    scene.api.put(REPLICAS, made)


def rewritten_plan(scene: Scene) -> None:
    """Another plan, and everything that can be recomputed, recomputed."""
    draft = building.resealed(scene.stage.drafts[SIGNED], summary="something harmless")
    for by in (draft[1]["payload"]["by"], draft[2]["payload"]["approved_by"]):
        by.pop("signature")
    scene.stage.publish()


def cut_short(scene: Scene) -> None:
    """A record that was carried out, and says that it was rejected."""
    draft = scene.stage.drafts[SIGNED]
    moment = clock.parse(draft[1]["time"])
    scene.stage.drafts[SIGNED] = [draft[0], building.decided(draft[0]["payload"], moment, "reject", reason="no")]
    scene.stage.publish()


def never_made(scene: Scene) -> None:
    """A rejected record that was forged into one that was carried out."""
    draft = scene.stage.drafts[REJECTED]
    approved = building.decided(draft[0]["payload"], clock.parse(draft[1]["time"]))
    scene.stage.drafts[REJECTED] = [draft[0], approved, *building.carried_out(approved, clock.parse(approved["time"]), "validated", "closed")]
    scene.stage.publish()


def renumbered(scene: Scene) -> None:
    """Two records changed their numbers when they were published; objects keep the old labels."""
    marked(API, record=f"{FEATURE}/0099")(scene)


def drifted(scene: Scene) -> None:
    live = scene.api.objects[API]
    live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "1Gi"
    live["metadata"]["generation"] += 1


def scaled(scene: Scene) -> None:
    live = scene.api.objects[API]
    live["spec"]["replicas"] = 7
    live["metadata"]["generation"] += 1


def not_deleted(scene: Scene) -> None:
    scene.api.put(GONE, samples.pod("web-1") | {"metadata": {"name": "web-1", "namespace": "shop", "uid": "uid-web-1"}})


def elsewhere(scene: Scene) -> None:
    scene.api.objects["/api/v1/namespaces/kube-system"]["metadata"]["uid"] = "another"
    for path in (WEB, API):
        scene.api.objects.pop(path)


CASES = [
    Case("a change without marks", {"C01"}, somebody_elses, "names no record", percent=80.0),
    Case("a copied mark", {"C01"}, with_a_copied_mark, "about another object", percent=80.0),
    Case("an unknown record", {"C01"}, marked(API, record=f"{FEATURE}/0077", digest="e" * 64), "there is no such record", percent=80.0),
    Case("another feature's record", {"C01"}, marked(API, record="other/0001", digest="e" * 64), "of another feature", severity="warning"),
    Case("a rewritten plan", {"C02"}, rewritten_plan, "was changed under the digest", percent=80.0),
    Case("another digest at the object", {"C02"}, marked(API, digest="e" * 64), "and record 0003 has", percent=80.0),
    Case("written to later", {"C03"}, later_by(minutes=30), "its last record, 0003, wrote from", percent=80.0),
    Case("written to before", {"C03"}, later_by(minutes=-30), "its last record, 0003, wrote from", percent=80.0),
    Case("written to later on this machine's clock", {"C03"}, later_by(seconds=30), "wrote from", percent=80.0),
    Case("a few seconds", set(), later_by(seconds=3)),
    Case("marks removed", {"C01", "C04"}, without_marks, "carries no mark", percent=80.0),
    Case("replaced", {"C04"}, without_marks_and_manager, "carries no mark"),
    Case("a change that was never made", {"C04"}, never_made, "carries no mark"),
    Case("drifted", {"C04"}, drifted, "resources.limits.memory was 128Mi and is now 1Gi", severity="warning"),
    Case("changed elsewhere in its specification", set(), scaled),
    Case("created again", {"C04"}, meta(API, uid="new", managedFields=[], annotations={}), "deleted and created again", severity="info"),
    Case("deleted", {"C04"}, lambda scene: scene.api.objects.pop(API), "does not exist any more", severity="info"),
    Case("a pod that is still there", {"C04"}, not_deleted, "still there"),
    Case("a record cut short", {"C05"}, cut_short, "says that nothing was changed (rejected)", percent=75.0),
    Case("inherited annotations", set(), inherited),
    Case("renumbered", set(), renumbered),
    Case("another cluster", set(), elsewhere),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_contradictions(case: Case, scene: Scene) -> None:
    case.change(scene)
    document = scene.run()
    found = [one for one in document["findings"] if one["code"].startswith("C")]
    assert {one["code"] for one in found} == case.codes, document["findings"]
    assert not case.says or any(case.says in one["message"] and one["severity"] == case.severity for one in found), found
    assert document["share"]["percent"] == case.percent
    assert not scene.api.log


def test_every_check_of_the_cluster_has_a_case() -> None:
    assert {one.code for one in CLUSTER} - {"C06"} == {code for case in CASES for code in case.codes}  # C06: below


def test_a_forged_record_is_right_in_itself(scene: Scene) -> None:
    """What only the cluster finds out."""
    rewritten_plan(scene)
    assert [one["code"] for one in scene.stage.run()["findings"]] == []


def test_the_clock_of_another_machine_is_given_two_minutes(scene: Scene) -> None:
    for one in scene.stage.drafts[SIGNED]:
        one["actor"] = {**one["actor"], "host": "ops-9"}
    building.resealed(scene.stage.drafts[SIGNED], requested_by={**scene.stage.drafts[SIGNED][0]["payload"]["plan"]["requested_by"], "host": "ops-9"})
    for by in (scene.stage.drafts[SIGNED][1]["payload"]["by"], scene.stage.drafts[SIGNED][2]["payload"]["approved_by"]):
        by.pop("signature")
    scene.stage.publish()
    marked(API, digest=scene.digest(SIGNED))(scene)
    later_by(seconds=100)(scene)
    assert scene.run()["findings"] == []
    later_by(seconds=100)(scene)
    assert [one["code"] for one in scene.run()["findings"]] == ["C03"]


def test_this_machine_may_be_ahead_of_the_server(scene: Scene) -> None:
    scene.api.clock_skew = 60.0
    for path in (WEB, API):
        wrote(scene, path, clock.later(scene.api.objects[path]["metadata"]["managedFields"][0]["time"], seconds=-60)[:-5] + "Z")
    assert scene.run()["findings"] == []


def test_what_may_not_be_listed_is_read_by_namespace_and_named(scene: Scene) -> None:
    scene.api.forbidden = {"deployments", "cronjobs"}
    drifted(scene)
    document = scene.run(cluster="auto")
    assert [one["code"] for one in document["findings"]] == ["C04"]
    assert {one["what"] for one in document["coverage"]["not_evaluated"]} == {"Deployment of all namespaces", "CronJob of all namespaces"}
    assert [one["object"] for one in scene.run()["findings"] if one["code"] == "C06"] == ["CronJob of all namespaces", "Deployment of all namespaces"]


def test_what_may_not_be_read_by_name_is_named_once(scene: Scene) -> None:
    def refuse(method: str, path: str) -> None:
        if "/pods/" in path or path == API:
            raise ApiError(403, "Forbidden", "you may not", f"{method} {path}")

    drifted(scene)
    scene.api.faults.append(refuse)
    document = scene.run(cluster="auto")
    assert document["findings"] == []
    assert {one["what"] for one in document["coverage"]["not_evaluated"]} == {"Pod objects by name", "Deployment objects by name"}


def test_only_some_namespaces(scene: Scene) -> None:
    somebody_elses(scene)
    other = copy.deepcopy(scene.api.objects.pop(ELSEWHERE))
    other["metadata"]["namespace"] = "data"
    scene.api.put(ELSEWHERE.replace("/shop/", "/data/"), other)
    assert [one["code"] for one in scene.run()["findings"]] == ["C01"]
    assert scene.run(namespaces=("shop",))["findings"] == []


@pytest.mark.parametrize("error", [Unreachable("no answer", ""), ApiError(401, "Unauthorized", "who are you", "GET /", "")])
def test_a_cluster_that_does_not_answer(error: Exception, scene: Scene) -> None:
    def refuse(method: str, path: str) -> None:
        raise error

    scene.api.faults.append(refuse)
    document = scene.run(cluster="auto")
    assert document["findings"] == [] and document["cluster"] == {}
    assert document["coverage"]["not_evaluated"] == [{"what": "the cluster", "missing": error.message}]  # type: ignore[attr-defined]
    assert {one["code"] for one in document["checks"] if one["skipped"] == "the cluster was not compared"} == {one.code for one in CLUSTER}
    with pytest.raises(type(error)):
        scene.run()


ODD: tuple[Any, ...] = (None, 7, -1.5, True, "", "x\x1b[0m", [], ["x"], {}, {"x": 1})


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, one in items for found in ((*path, key), *places(one, (*path, key)))]


@pytest.mark.parametrize("seed", range(8))
def test_odd_content_is_reported_and_never_stops_the_run(seed: int, scene: Scene) -> None:
    """Ten records, each with one value replaced by something odd, and hashes that fit."""
    chance = random.Random(seed)
    scene.stage.drafts = [copy.deepcopy(scene.stage.drafts[SIGNED]) for _record in range(10)]
    for number, draft in enumerate(scene.stage.drafts):
        building.resealed(draft, summary=f"another {number}")
        *path, final = chance.choice(places(draft))
        here: Any = draft
        for key in path:
            here = here[key]
        here[final] = chance.choice(ODD)
    events = [
        [
            {**one, "payload": one["payload"] if isinstance(one["payload"], dict) else {}}
            for one in draft
            if isinstance(one, dict) and "payload" in one
        ]
        for draft in scene.stage.drafts
    ]
    for number, draft in enumerate(events, 1):
        chained: list[dict[str, Any]] = []
        for one in draft:
            if not chained:
                one["payload"] |= {"id": f"{number:04d}", "feature": FEATURE}
            chained.append(chain.linked(chained, one))
        (scene.stage.folder / f"{number:04d}.jsonl").write_bytes(b"".join(map(chain.line, chained)))
    document = scene.run()
    assert document["coverage"]["records"] == 10
    assert not [one for one in document["findings"] if not one["message"].isprintable()]
    assert report.markdown(document) and report.junit(document, True)


def test_positions() -> None:
    assert (ENDED, SIGNED, REJECTED, POD) == (0, 2, 3, 8), "the cases above name records by these numbers"
