# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Controllers whose pods the API server refuses. The messages are those of a real 1.34, and of other versions and clusters where they differ."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.diagnosis.infrastructure import cause, judge, plain
from tests.unit.diagnosis.objects import Object, ago, controller, deployment, event, pod, replicaset, running, spec

FORBIDDEN = 'Error creating: pods "web-1-x" is forbidden: '
RESTRICTED = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "app" must set'
    ' securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "app" must set'
    ' securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true),'
    ' seccompProfile (pod or container "app" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)
HOST = (
    'violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true), privileged (container "app" must not set'
    ' securityContext.privileged=true), hostPath volumes (volume "h")'
)
HOOK = 'Error creating: Internal error occurred: failed calling webhook "guard.example.com": '


def refused(message: str, count: int = 0, template: Object | None = None) -> list[Object]:
    top = deployment()
    below = replicaset(top, replicas=3, template=template)
    below["status"]["replicas"] = count
    below["metadata"]["creationTimestamp"] = ago(600)
    return [top, below, event(below, "FailedCreate", message)]


def containers(*specs: Object, **more: Any) -> Object:
    return {"metadata": {}, "spec": {"containers": list(specs), **more}}


ANSWERS: list[tuple[str, list[Object], str, list[str]]] = [
    (
        "quota of pods",
        refused(FORBIDDEN + "exceeded quota: team, requested: pods=1, used: pods=1, limited: pods=1"),
        "QuotaExceeded",
        ["ResourceQuota team of namespace shop", "pods: 1 of 1 are used", "0 of its 3 pods"],
    ),
    (
        "quota of two resources",
        refused(
            FORBIDDEN
            + "exceeded quota: q, requested: requests.cpu=500m,requests.memory=1Gi, used: requests.cpu=0,requests.memory=0, limited:"
            " requests.cpu=200m,requests.memory=2Gi"
        ),
        "QuotaExceeded",
        ["requests.cpu: 0 of 200m are used, and 500m more", "larger than the whole quota of requests.cpu."],
    ),
    (
        "quota without limits",
        refused(FORBIDDEN + "failed quota: compute: must specify requests.cpu for: app; requests.memory for: app"),
        "QuotaRequiresLimits",
        ["ResourceQuota compute", "requests.cpu for: app; requests.memory for: app"],
    ),
    (
        "the same of old",
        refused(FORBIDDEN + "failed quota: compute: must specify limits.cpu,limits.memory"),
        "QuotaRequiresLimits",
        ["limits.cpu,limits.memory"],
    ),
    (
        "quota by scope",
        refused(FORBIDDEN + "insufficient quota to match these scopes: [{PriorityClass In [high]}]"),
        "QuotaExceeded",
        ["PriorityClass In [high]"],
    ),
    (
        "limit range, maximum",
        [
            *refused(
                FORBIDDEN + "[maximum cpu usage per Container is 200m, but limit is 1, maximum memory usage per Container is 64Mi, but limit is 1Gi]",
                template=containers(
                    spec(resources={"limits": {"cpu": "1000m", "memory": "1Gi"}}), spec("side", resources={"limits": {"cpu": "100m"}})
                ),
            ),
            plain("LimitRange", "box", "shop"),
        ],
        "LimitRangeViolated",
        [
            "LimitRange box of namespace shop",
            "maximum cpu per Container is 200m, but container app has the limit 1;",
            "maximum memory per Container is 64Mi",
        ],
    ),
    (
        "limit range, minimum",
        refused(FORBIDDEN + "minimum cpu usage per Container is 10m, but request is 1m"),
        "LimitRangeViolated",
        ["minimum cpu per Container is 10m, but the request 1m"],
    ),
    (
        "limit range, ratio",
        refused(FORBIDDEN + "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000"),
        "LimitRangeViolated",
        ["maximum limit/request ratio cpu per Container is 2, but the limit/request ratio 10."],
    ),
    (
        "limit range of pods",
        refused(FORBIDDEN + "maximum memory usage per Pod is 1Gi, but limit is 2147483648"),
        "LimitRangeViolated",
        ["maximum memory per Pod is 1Gi"],
    ),
    (
        "limit range without limit",
        refused(FORBIDDEN + "maximum memory usage per Container is 1Gi. No limit is specified"),
        "LimitRangeViolated",
        ["is 1Gi, but the pod states no limit"],
    ),
    (
        "restricted",
        refused(FORBIDDEN + RESTRICTED),
        "PodSecurityViolation",
        ["level restricted", 'drop=["ALL"]', "runAsNonRoot=true", "seccompProfile"],
    ),
    ("baseline", refused(FORBIDDEN + HOST), "PodSecurityViolation", ["level baseline", "hostNetwork=true", 'volume "h"']),
    (
        "security context constraints",
        refused(FORBIDDEN + "unable to validate against any security context constraint: [provider restricted: .spec.securityContext.runAsUser]"),
        "PodSecurityViolation",
        ["provider restricted"],
    ),
    (
        "webhook denies",
        refused('Error creating: admission webhook "policy.example.com" denied the request: image must come from registry.example.com'),
        "AdmissionDenied",
        ["policy.example.com", "image must come from registry.example.com"],
    ),
    (
        "webhook denies silently",
        refused('Error creating: admission webhook "policy.example.com" denied the request without explanation'),
        "AdmissionDenied",
        ["gives no reason"],
    ),
    (
        "policy denies",
        refused(FORBIDDEN + "ValidatingAdmissionPolicy 'labels' with binding 'all' denied request: every pod needs the label team"),
        "AdmissionDenied",
        ["ValidatingAdmissionPolicy labels", "every pod needs the label team"],
    ),
    (
        "webhook's Service is missing",
        [
            *refused(HOOK + 'failed to call webhook: Post "https://guard.ops.svc:443/v?timeout=2s": service "guard" not found'),
            plain("ValidatingWebhookConfiguration", "guards", webhooks=[{"name": "guard.example.com"}]),
        ],
        "WebhookUnavailable",
        ["guard.example.com (ValidatingWebhookConfiguration guards)", "its Service guard does not exist in namespace ops"],
    ),
    (
        "webhook's Service has no pods",
        refused(HOOK + 'failed to call webhook: Post "https://guard.ops.svc:443/v?timeout=10s": no endpoints available for service "guard"'),
        "WebhookUnavailable",
        ["has no ready pod"],
    ),
    (
        "webhook refuses",
        refused(HOOK + 'Post "https://guard.ops.svc:443/v?timeout=10s": dial tcp 10.96.0.9:443: connect: connection refused'),
        "WebhookUnavailable",
        ["nothing listens", "connection refused"],
    ),
    (
        "webhook's certificate",
        refused(
            HOOK
            + 'failed to call webhook: Post "https://guard.ops.svc:443/v": tls: failed to verify certificate: x509: certificate signed by unknown'
            " authority"
        ),
        "WebhookUnavailable",
        ["TLS certificate is not accepted", "unknown authority"],
    ),
    (
        "webhook is slow",
        refused(HOOK + 'failed to call webhook: Post "https://guard.ops.svc:443/v": context deadline exceeded'),
        "WebhookUnavailable",
        ["does not answer in time"],
    ),
    (
        "webhook by URL",
        refused(HOOK + 'failed to call webhook: Post "https://guard.example.com/v": dial tcp: lookup guard.example.com: no such host'),
        "WebhookUnavailable",
        ["does not resolve"],
    ),
    (
        "service account",
        [
            *refused(FORBIDDEN + 'error looking up service account shop/robt: serviceaccount "robt" not found'),
            plain("ServiceAccount", "robot", "shop"),
        ],
        "ServiceAccountMissing",
        ["ServiceAccount robt", "namespace shop (there is robot)"],
    ),
    (
        "priority class",
        [*refused(FORBIDDEN + "no PriorityClass with name urgent was found"), plain("PriorityClass", "high")],
        "PriorityClassMissing",
        ["PriorityClass urgent", "there are high"],
    ),
    ("runtime class", refused(FORBIDDEN + 'pod rejected: RuntimeClass "gvisor" not found'), "PodsNotCreated", ["RuntimeClass gvisor"]),
    (
        "invalid pod",
        refused('Error creating: Pod "web-1-x" is invalid: spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/data": must be unique'),
        "PodsNotCreated",
        ["not valid", 'mountPath: Invalid value: "/data": must be unique'],
    ),
    (
        "defaults that do not fit",
        [
            *refused(
                'Error creating: Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value: "500m": must be less than or equal to cpu'
                " limit of 200m"
            ),
            plain("LimitRange", "box", "shop", spec={"limits": [{"type": "Container", "default": {"cpu": "200m"}}]}),
        ],
        "LimitRangeViolated",
        ["LimitRange box", "cpu limit of 200m"],
    ),
    (
        "controller without rights",
        refused(
            'Error creating: pods is forbidden: User "system:serviceaccount:kube-system:replicaset-controller" cannot create resource "pods" in API'
            ' group ""'
        ),
        "PodsNotCreated",
        ["replicaset-controller may not create pods"],
    ),
    ("anything else", refused(FORBIDDEN + "because we say so"), "PodsNotCreated", ["because we say so"]),
]


@pytest.mark.parametrize("what, items, code, words", ANSWERS, ids=[row[0] for row in ANSWERS])
def test_why_pods_are_refused(what: str, items: list[Object], code: str, words: list[str]) -> None:
    finding = cause(*items)
    assert finding.code == code and [word for word in words if word not in finding.root_cause] == [], finding.root_cause
    assert finding.object == {"kind": "Deployment", "namespace": "shop", "name": "web"} and "ReplicaSet web-1" in finding.root_cause


@pytest.mark.parametrize("message", [FORBIDDEN + RESTRICTED, FORBIDDEN + HOST])
def test_no_advice_weakens_a_policy(message: str) -> None:
    fix = cause(*refused(message)).suggested_fix
    assert "Keep the level as it is." in fix and "privileged level" not in fix and "enforce" not in fix


def test_each_violation_has_its_fix() -> None:
    fix = cause(*refused(FORBIDDEN + RESTRICTED)).suggested_fix
    assert all(
        words in fix for words in ("allowPrivilegeEscalation: false", 'drop: ["ALL"]', "runAsNonRoot: true", "seccompProfile.type: RuntimeDefault")
    )
    assert "hostNetwork" not in fix and "remove hostNetwork" in cause(*refused(FORBIDDEN + HOST)).suggested_fix


def test_who_holds_the_quota() -> None:
    items = refused(FORBIDDEN + "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")
    assert "pod/a (1), pod/b (1)" in cause(*items, pod(running(), name="a"), pod(running(), name="b")).root_cause


def other(kind: str, status: Object, **body: Any) -> Object:
    made = controller(kind, "db")
    made["status"] = status
    made["metadata"]["creationTimestamp"] = ago(600)
    made["spec"].update(body)
    return made


QUOTA = "forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"


@pytest.mark.parametrize(
    "kind, status, message",
    [
        ("StatefulSet", {"replicas": 0}, f'create Pod db-0 in StatefulSet db failed error: pods "db-0" is {QUOTA}'),
        ("DaemonSet", {"desiredNumberScheduled": 2, "currentNumberScheduled": 0}, f'Error creating: pods "db-x" is {QUOTA}'),
        ("Job", {"startTime": ago(60)}, f'Error creating: pods "db-x" is {QUOTA}'),
    ],
)
def test_other_controllers(kind: str, status: Object, message: str) -> None:
    one = other(kind, status)
    finding = cause(one, event(one, "FailedCreate", message))
    assert finding.code == "QuotaExceeded" and finding.object["kind"] == kind


def test_a_cronjob_and_its_jobs() -> None:
    top = plain("CronJob", "nightly", "shop", spec={"jobTemplate": {"spec": {"template": containers(spec())}}})
    finding = cause(top, event(top, "FailedCreate", f'Error creating job: jobs.batch "nightly-1" is {QUOTA.replace("pods", "count/jobs.batch")}'))
    assert finding.code == "QuotaExceeded" and finding.object["name"] == "nightly" and "count/jobs.batch" in finding.root_cause
    run = other("Job", {})
    run["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "nightly", "uid": top["metadata"]["uid"], "controller": True}]
    assert cause(top, run, event(run, "FailedCreate", QUOTA)).object["kind"] == "CronJob"


def test_a_deployment_that_cannot_make_its_replicaset() -> None:
    top = deployment()
    text = (
        'replicasets.apps "web-1" is forbidden: exceeded quota: q, requested: count/replicasets.apps=1, used: count/replicasets.apps=2, limited:'
        " count/replicasets.apps=2"
    )
    top["status"]["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ReplicaSetCreateError", "message": text}]
    assert "count/replicasets.apps" in cause(top).root_cause


def test_the_condition_stays_when_the_event_is_gone() -> None:
    items = refused("")[:2]
    items[0]["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": f'pods "web-1-x" is {QUOTA}'}
    ]
    assert cause(*items).code == "QuotaExceeded"
    items[0]["status"]["conditions"][0]["status"] = "False"
    assert judge(*items) == []


def test_without_any_answer_left() -> None:
    items = refused("", template=containers(spec(), serviceAccountName="robot", priorityClassName="urgent"))[:2]
    assert cause(*items, plain("PriorityClass", "urgent")).code == "ServiceAccountMissing"
    assert cause(*items, plain("ServiceAccount", "robot", "shop")).code == "PriorityClassMissing"
    assert judge(*items, unread=("serviceaccounts", "priorityclasses")) == []
    quota = plain("ResourceQuota", "q", "shop", status={"hard": {"pods": "2"}, "used": {"pods": "2"}})
    assert "pods: 2 of 2 are used" in cause(*items, plain("PriorityClass", "urgent"), plain("ServiceAccount", "robot", "shop"), quota).root_cause


def scaled(items: list[Object], **status: Any) -> list[Object]:
    items[1]["status"].update(status)
    return items


def done(**status: str) -> Object:
    return other("Job", {"conditions": [{"type": kind, "status": value} for kind, value in status.items()]})


def since(items: list[Object]) -> list[Object]:
    return [*items, event(items[1], "SuccessfulCreate", "Created pod: web-1-y", 5)]


SUSPENDED = other("Job", {}, suspend=True)
JOB = done(Complete="True")
HEALTHY: list[tuple[str, list[Object]]] = [
    ("all pods are there by now", scaled(refused(FORBIDDEN + RESTRICTED), replicas=3)),
    ("some were created since", since(refused(FORBIDDEN + RESTRICTED, 1))),
    (
        "none are wanted",
        [{**one, "spec": {**one["spec"], "replicas": 0}} if one["kind"] == "ReplicaSet" else one for one in refused(FORBIDDEN + RESTRICTED)],
    ),
    ("no event, nothing missing", refused("")[:2]),
    ("the namespace is going", refused(FORBIDDEN + "unable to create new content in namespace shop because it is being terminated")),
    (
        "the old pod is not gone yet",
        [(s := other("StatefulSet", {"replicas": 0})), event(s, "FailedCreate", 'object is being deleted: pods "db-0" already exists')],
    ),
    ("a finished job", [JOB, event(JOB, "FailedCreate", QUOTA)]),
    ("a suspended job", [SUSPENDED, event(SUSPENDED, "FailedCreate", QUOTA)]),
    ("a daemon set with no nodes", [other("DaemonSet", {"desiredNumberScheduled": 0, "currentNumberScheduled": 0})]),
    ("a job that runs", [other("Job", {"active": 1})]),
]


@pytest.mark.parametrize("what, items", HEALTHY, ids=[row[0] for row in HEALTHY])
def test_healthy(what: str, items: list[Object]) -> None:
    assert judge(*items) == []
