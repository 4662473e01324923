# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Returning to an earlier revision: to which one, with what proof, and every reason why not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import table as remedies
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Remedy
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.revisions import undo_rollout
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch

from tests.unit.diagnosis.objects import Object, controller, deployment, ended, looping, pod, replicaset, running, snapshot, spec

BOUNDS = Bounds(2**33)
CRASH = looping(ended(1))


def template(image: str = "shop/web:1", **container: Any) -> Object:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [spec(image=image, **container)]}}


def revision(top: Object, number: int, body: Object, ready: int = 0) -> Object:
    body = copy.deepcopy(body)
    body["metadata"]["labels"]["pod-template-hash"] = f"hash-{number}"
    made = replicaset(top, number, ready, template=body)
    made["metadata"]["labels"] = {"pod-template-hash": f"hash-{number}"}
    return made


def proposed(
    bodies: list[Object], ready: tuple[int, ...] = (), *more: Object, state: Object = CRASH, **deployment_spec: Any
) -> tuple[list[Remedy], list[str]]:
    """What is proposed for a Deployment whose revisions had these templates, the last of which fails; ready: pods of each."""
    top = deployment(template=bodies[-1])
    top["spec"].update(deployment_spec)
    sets = [revision(top, number, body, dict(enumerate(ready, 1)).get(number, 0)) for number, body in enumerate(bodies, 1)]
    view, found, _evidence = analyse(snapshot(top, *sets, pod(state, owner=sets[-1]), *more))
    return remedies.propose(view, found[0], BOUNDS)


def change(found: tuple[list[Remedy], list[str]]) -> dict[str, Any]:
    [remedy] = found[0]
    assert remedy.name == "undo_rollout"
    return remedy.changes[0]


def test_the_change_in_full() -> None:
    [remedy], reasons = proposed([template("shop/web:1"), template("shop/web:2")], (2,))
    assert remedy.summary == "return deployment/web to the template of revision 1" and remedy.undo == "the template of revision 2 is put back"
    assert remedy.notes == ["revision 1: 2 of its pods are ready now"] and reasons == []
    [made] = remedy.changes
    assert made["outcome"] == [{"path": "spec.template.spec.containers[app].image", "before": "shop/web:2", "after": "shop/web:1"}]
    live = deployment(template=template("shop/web:2"))
    after = patch.apply(live, made["patch"])
    assert after["spec"]["template"] == template("shop/web:1"), "without the hash label of its ReplicaSet"
    assert patch.apply(after, made["inverse"])["spec"] == live["spec"]


WHICH: list[tuple[str, tuple[int, ...], str, str]] = [
    ("the last one, unproven", (0, 0, 0), "shop/web:3", "revision 3: its pods are gone, so that it worked is not proven"),
    ("one that works is better than a later one", (2, 0, 0), "shop/web:1", "revision 1: 2 of its pods are ready now"),
    ("the last that works", (2, 1, 0), "shop/web:2", "revision 2: 1 of its pods are ready now"),
]


@pytest.mark.parametrize("what, ready, image, note", WHICH, ids=[row[0] for row in WHICH])
def test_which_revision(what: str, ready: tuple[int, ...], image: str, note: str) -> None:
    found = proposed([template(f"shop/web:{number}") for number in (1, 2, 3, 4)], ready)
    assert change(found)["outcome"][0]["after"] == image and found[0][0].notes == [note]


KEEPS_WORKING_PODS: list[dict[str, Any]] = [
    {},
    {"type": "RollingUpdate"},
    {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
]


@pytest.mark.parametrize("strategy", KEEPS_WORKING_PODS, ids=str)
def test_a_rolling_update_that_kept_no_pod_had_none_that_worked(strategy: dict[str, Any]) -> None:
    found = proposed([template("a:1"), template("a:2")], strategy=strategy, replicas=2)
    assert found == ([], ["no earlier revision of deployment/web has a ready pod, so none is known to work"])


@pytest.mark.parametrize("unavailable", ["100%", 2, 3])
def test_a_rolling_update_that_may_stop_all_pods_proves_nothing(unavailable: Any) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable}}
    found = proposed([template("a:1"), template("a:2")], strategy=strategy, replicas=2)
    assert found[0][0].notes == ["revision 1: its pods are gone, so that it worked is not proven"]


def test_revisions_are_numbers() -> None:
    found = proposed([template(f"shop/web:{number}") for number in range(1, 12)])
    assert change(found)["outcome"][0]["after"] == "shop/web:10"


def test_replicasets_of_others_do_not_count() -> None:
    other = deployment("api")
    stranger = revision(other, 1, template("shop/api:1"), 3)
    found, reasons = proposed([template()], (), other, stranger, pod(running(), name="api-1", owner=stranger))
    assert found == [] and reasons == ["deployment/web has no earlier revision to return to"]


def test_a_revision_without_a_number_comes_first() -> None:
    top = deployment(template=template("shop/web:3"))
    sets = [revision(top, number, template(f"shop/web:{number}")) for number in (1, 2, 3)]
    sets[1]["metadata"]["annotations"] = None
    view, found, _evidence = analyse(snapshot(top, *sets, pod(CRASH, owner=sets[2])))
    assert remedies.propose(view, found[0], BOUNDS)[0][0].summary.endswith("revision 1")


@pytest.mark.parametrize("spec_, reason", [({"paused": True}, "deployment/web is paused; a person holds its rollout")])
def test_a_paused_deployment_is_left_alone(spec_: dict[str, Any], reason: str) -> None:
    assert proposed([template("a:1"), template("a:2")], (), **spec_) == ([], [reason])


def test_the_same_template_is_no_way_back() -> None:
    assert proposed([template(), template()]) == ([], ["revision 1 of deployment/web has the same template as the newest"])


def test_pods_of_an_earlier_revision_that_fail_as_well() -> None:
    top = deployment(template=template("a:2"))
    first, second = revision(top, 1, template("a:1")), revision(top, 2, template("a:2"))
    view, found, _evidence = analyse(snapshot(top, first, second, pod(CRASH, name="a", owner=first), pod(CRASH, name="b", owner=second)))
    assert remedies.propose(view, found[0], BOUNDS) == (
        [],
        ["pods of an earlier revision of deployment/web fail as well, so the newest template is not the cause"],
    )


def test_other_failures_of_earlier_pods_do_not_matter() -> None:
    top = deployment(template=template("a:2"))
    first, second = revision(top, 1, template("a:1")), revision(top, 2, template("a:2"))
    pods = [pod(looping(ended(0)), name="a", owner=first), pod(CRASH, name="b", owner=second)]
    view, found, _evidence = analyse(snapshot(top, first, second, *pods))
    crash = next(one for one in found if one.code == "AppCrash")
    assert [one.name for one in remedies.propose(view, crash, BOUNDS)[0]] == ["undo_rollout"]


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_kinds_whose_revisions_were_not_read(kind: str) -> None:
    top = controller(kind, "db")
    view, [finding], _evidence = analyse(snapshot(top, pod(CRASH, owner=top)))
    assert remedies.propose(view, finding, BOUNDS) == ([], [f"{kind.lower()}/db has no earlier revision to return to"])


@pytest.mark.parametrize("kind", ["Job"])
def test_kinds_without_revisions(kind: str) -> None:
    top = controller(kind, "db")
    view, [finding], _evidence = analyse(snapshot(top, pod(CRASH, owner=top)))
    assert remedies.propose(view, finding, BOUNDS) == ([], ["no change follows from the facts alone; a person has to decide"])


def env(**values: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


SECRETS: list[tuple[str, Object, Object]] = [
    ("a value that changed", template(**env(DB_PASSWORD="old-s3cret")), template(**env(DB_PASSWORD="new-s3cret"))),
    ("a variable that was added", template("a:1"), template("a:2", **env(DB_PASSWORD="new-s3cret"))),
    ("a variable that was dropped", template("a:1", **env(DB_PASSWORD="old-s3cret")), template("a:2")),
    ("behind others that moved", template(**env(A="1", B="2", DB_PASSWORD="old-s3cret")), template(**env(B="2", C="3", DB_PASSWORD="new-s3cret"))),
    ("in an argument", template(args=["--password=old-s3cret"]), template(args=["--password=new-s3cret"])),
    ("in a command line", template(command=["sh", "-c", "run --token=old-s3cret"]), template(command=["sh", "-c", "run"])),
    ("in a URL", template(**env(DATABASE="postgres://app:old-s3cret@db/x")), template(**env(DATABASE="postgres://app:new-s3cret@db/x"))),
    (
        "in a whole container",
        template("a:1"),
        {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [spec(), spec("side", **env(API_TOKEN="new-s3cret"))]}},
    ),
    ("the same value, moved", template(**env(DB_PASSWORD="old-s3cret", A="1")), template(**env(A="1", B="old-s3cret", DB_PASSWORD="old-s3cret"))),
]


@pytest.mark.parametrize("what, before, after", SECRETS, ids=[row[0] for row in SECRETS])
def test_a_secret_never_gets_into_a_plan(what: str, before: Object, after: Object) -> None:
    assert proposed([before, after]) == (
        [],
        [
            "returning to revision 1 would copy a secret value into the plan; run kubectl rollout undo deployment/web --to-revision=1, and move the"
            " value into a Secret"
        ],
    )


HARMLESS: list[tuple[str, Object, Object]] = [
    ("a secret that stays where it is", template("a:1", **env(DB_PASSWORD="s3cret")), template("a:2", **env(DB_PASSWORD="s3cret"))),
    ("references", template(env=[{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]), template("a:2")),
    (
        "volumes",
        template("a:1"),
        {**template("a:2"), "spec": {"containers": [spec()], "volumes": [{"name": "secret", "secret": {"secretName": "db-password"}}]}},
    ),
    (
        "ordinary variables",
        template(**env(MODE="fast", AUTH_ENABLED="true", TOKEN_FILE="/run/token")),
        template(**env(MODE="slow", AUTH_ENABLED="false")),
    ),
]


@pytest.mark.parametrize("what, before, after", HARMLESS, ids=[row[0] for row in HARMLESS])
def test_what_only_looks_like_a_secret(what: str, before: Object, after: Object) -> None:
    assert "s3cret" not in json.dumps(change(proposed([before, after])))


@pytest.mark.parametrize("state, code", [(CRASH, "AppCrash"), (looping(ended(127)), "CommandNotFound"), (looping(ended(0)), "MainProcessEnds")])
def test_the_codes_it_is_offered_for(state: Object, code: str) -> None:
    found, _reasons = proposed([template("a:1"), template("a:2")], (), state=state)
    assert [one.name for one in found] == ["undo_rollout"] and undo_rollout in remedies.PROPOSERS[code]


def test_every_code_has_remedies_or_a_reason() -> None:
    assert {*remedies.PROPOSERS, *remedies.ADVICE_ONLY} == set(CODES)
    assert set(remedies.PROPOSERS).isdisjoint(remedies.ADVICE_ONLY)


def test_out_of_memory_prefers_the_limit_and_keeps_the_way_back_as_second() -> None:
    limit: dict[str, Any] = {"resources": {"limits": {"memory": "64Mi"}}}
    top = deployment(template=template("a:2", **limit))
    sets = [revision(top, number, template(f"a:{number}", **limit)) for number in (1, 2)]
    killed = pod(looping(ended(137, "OOMKilled")), owner=sets[1], specs=[spec(**limit)])
    view, found, _evidence = analyse(snapshot(top, *sets, killed))
    assert [one.name for one in remedies.propose(view, found[0], BOUNDS)[0]] == ["raise_memory_limit", "undo_rollout"]
