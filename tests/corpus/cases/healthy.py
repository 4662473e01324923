# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is healthy or merely unusual: nothing may be found here. The last ones are recorded, and then changed, since time cannot be staged."""

from __future__ import annotations

import datetime

from tests.corpus.build import (
    SERVE,
    SLEEP,
    bare,
    claim,
    configmap,
    container,
    cronjob,
    daemonset,
    deployment,
    http,
    job,
    log_and_stay,
    made,
    mounts,
    run,
    service,
    statefulset,
    tcp,
)
from tests.corpus.cases.storage import storage_class
from tests.corpus.model import Case, Object, Step, healthy
from tests.corpus.signs import after, both, condition, crashed, moment, phase, ready, running, that

ERRORS = """INFO request served in 3 ms
ERROR could not parse query of request 17: invalid number, answered 400
WARN connection refused by peer, retried: ok
INFO 0 errors, 0 failed"""
ONCE = "test -e /state/second || { touch /state/second; echo 'error: first try' >&2; exit 1; }; "
STATE = {"volumes": [{"name": "state", "emptyDir": {}}]}
ON_STATE = [{"name": "state", "mountPath": "/state"}]
slow_release = {"minReadySeconds": 3600, "progressDeadlineSeconds": 3700}
endpoints = made(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    "legacy-1",
    metadata={"labels": {"kubernetes.io/service-name": "legacy"}},
    addressType="IPv4",
    endpoints=[{"addresses": ["192.0.2.10"], "conditions": {"ready": True}}],
    ports=[{"name": "", "port": 5432, "protocol": "TCP"}],
)


def long_ago(snapshot: Object) -> None:
    """The pods are three days old, and what went wrong in them happened then; events are gone after an hour."""
    age = 3 * 24 * 3600

    def earlier(stamp: str) -> str:
        return datetime.datetime.fromtimestamp(moment(stamp) - age, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    snapshot["objects"]["events"] = []
    for pod in snapshot["objects"]["pods"]:
        pod["metadata"]["creationTimestamp"] = earlier(pod["metadata"]["creationTimestamp"])
        for one in pod["status"].get("conditions", []):
            one["lastTransitionTime"] = earlier(one["lastTransitionTime"])
        for status in pod["status"].get("containerStatuses", []):
            for state in (status.get("state", {}), status.get("lastState", {})):
                for inner in state.values():
                    for name in ("startedAt", "finishedAt"):
                        if inner.get(name):
                            inner[name] = earlier(inner[name])


CASES = (
    healthy(
        "fine-deployment", deployment(replicas=2, script=SERVE, readinessProbe=tcp(8080)), service("web", 80, 8080), sign=ready(2), about="serves"
    ),
    healthy(
        "fine-statefulset",
        statefulset(replicas=2, spec={"podManagementPolicy": "Parallel"}),
        service("db", 5432, clusterIP="None"),
        sign=ready(2),
        about="runs",
    ),
    healthy(
        "fine-daemonset",
        daemonset(pod={"tolerations": [{"operator": "Exists", "key": "dedicated"}]}),
        sign=ready(),
        about="runs on the one node that is one",
    ),
    healthy("completed-job", job(script="echo done"), sign=condition("jobs", "Complete"), about="a job that has ended well"),
    healthy(
        "completed-pod", bare(script="echo done", pod={"restartPolicy": "Never"}), sign=phase("Succeeded"), about="a bare pod that has ended well"
    ),
    healthy("running-job", job(script=SLEEP), sign=running, about="a job at work"),
    healthy(
        "job-second-try",
        job(
            script="test -e /state/tried || { touch /state/tried; echo 'error: lock held' >&2; exit 1; }",
            spec={"backoffLimit": 2},
            **mounts("/state", hostPath={"path": "/tmp/corpus-job-second-try", "type": "DirectoryOrCreate"}),
        ),
        sign=condition("jobs", "Complete"),
        about="failed once, then succeeded",
    ),
    healthy(
        "long-start",
        deployment(script=f"sleep 100000; {SERVE}", startupProbe=http("/", 8080, failureThreshold=6000), readinessProbe=http("/", 8080)),
        sign=both(running, after(45)),
        about="a start that takes long, within what its startup probe allows",
    ),
    healthy(
        "late-first-probe",
        deployment(readinessProbe={"tcpSocket": {"port": 8080}, "initialDelaySeconds": 1800}),
        sign=both(running, after(45)),
        about="a readiness probe that begins after half an hour",
    ),
    healthy("scaled-to-zero", deployment(replicas=0), service("web", 80), sign=after(10), about="nothing is wanted, and its Service has nothing"),
    healthy("suspended-cronjob", cronjob(spec={"suspend": True}), sign=after(10), about="suspended on purpose"),
    healthy("suspended-job", job(spec={"suspend": True}), sign=condition("jobs", "Suspended"), about="suspended on purpose"),
    healthy("cronjob-between-runs", cronjob(script="true", schedule="0 3 * * *"), sign=after(10), about="its time has not come"),
    healthy(
        "cronjob-that-ran",
        cronjob(script="echo exported"),
        sign=condition("jobs", "Complete"),
        about="its last run went well",
    ),
    Case(
        "terminating-slowly",
        (
            Step((bare(script="trap 'sleep 3000' TERM; while true; do sleep 1; done", pod={"terminationGracePeriodSeconds": 3000}),), until=ready()),
            Step(kubectl=(("delete", "pod", "lone", "--wait=false"),), until=after(5)),
        ),
        about="a pod that was told to end and has 50 minutes for it",
    ),
    Case(
        "paused-and-available",
        (Step((deployment(),), until=ready()), Step((deployment(spec={"paused": True}),), until=after(5))),
        about="paused after a complete rollout",
    ),
    Case(
        "rolling-update",
        (
            Step((deployment(replicas=2, spec=slow_release),), until=ready(2)),
            Step((deployment(replicas=2, script="exec sleep 999999", spec=slow_release),), until=ready(3)),
        ),
        about="a rollout under way that waits an hour for each pod",
    ),
    healthy(
        "init-at-work",
        deployment(pod={"initContainers": [container("load", "echo loading 2 GB; exec sleep 25")]}),
        sign=both(running, after(8)),
        about="an init container that takes 25 s",
    ),
    healthy(
        "native-sidecar",
        deployment(pod={"initContainers": [container("mesh", SLEEP, restartPolicy="Always")]}),
        sign=ready(),
        about="a sidecar that runs, as it should",
    ),
    healthy(
        "errors-in-the-log", deployment(script=log_and_stay(ERRORS)), sign=both(ready(), after(12)), about="a log that speaks of errors of others"
    ),
    healthy(
        "external-services",
        made("v1", "Service", "mail", {"type": "ExternalName", "externalName": "smtp.example.com"}),
        made("v1", "Service", "legacy", {"ports": [{"port": 5432}], "clusterIP": "None"}),
        endpoints,
        deployment(),
        sign=ready(),
        about="Services without selectors: an external name, and an address that was written by hand",
    ),
    healthy(
        "optional-references",
        deployment(
            envFrom=[{"configMapRef": {"name": "tuning", "optional": True}}, {"secretRef": {"name": "extras", "optional": True}}],
            **mounts(configMap={"name": "themes", "optional": True}),
        ),
        sign=ready(),
        about="what is missing is optional",
    ),
    healthy(
        "unused-claim",
        storage_class("later", "kubernetes.io/no-provisioner", "WaitForFirstConsumer"),
        claim(storage_class="corpus-later"),
        deployment(),
        sign=both(ready(), after(10)),
        about="a claim that waits for its first consumer, and nobody uses it yet",
    ),
    healthy("daemonset-for-no-node", daemonset(pod={"nodeSelector": {"disk": "tape"}}), sign=after(10), about="no node is meant"),
    healthy(
        "disruption-budget-at-its-limit",
        deployment(),
        made("policy/v1", "PodDisruptionBudget", "web", {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}),
        sign=ready(),
        about="no disruption is allowed, which is what the budget is for",
    ),
    healthy(
        "tolerates-taints",
        deployment(pod={"tolerations": [{"key": "dedicated", "operator": "Exists"}]}),
        sign=ready(),
        about="tolerates what it does not need to",
    ),
    healthy(
        "restarted-once",
        deployment(script=ONCE + SLEEP, pod=STATE, volumeMounts=ON_STATE, readinessProbe=run("test", "-e", "/state/second")),
        sign=both(crashed(), ready(), after(60)),
        about="crashed once at its start, and is well since",
    ),
    healthy(
        "named-target-port",
        deployment(script=SERVE, ports=[{"name": "http", "containerPort": 8080}]),
        service("web", 80, "http"),
        sign=ready(),
        about="a port by its name",
    ),
    healthy("undeclared-port", deployment(script=SERVE), service("web", 80, 8080), sign=ready(), about="a container need not declare its ports"),
    healthy(
        "unused-configuration",
        configmap("old-settings", a="b"),
        made("v1", "Secret", "old", stringData={"a": "b"}),
        deployment(spec={"revisionHistoryLimit": 0}),
        sign=ready(),
        about="left-overs",
    ),
    healthy("no-objects", configmap("empty"), sign=after(1), about="a namespace without workloads"),
    healthy(
        "quota-nearly-used",
        made("v1", "ResourceQuota", "team-quota", {"hard": {"pods": "1"}}),
        deployment(),
        sign=both(ready(), that("resourcequotas", lambda item: item.get("status", {}).get("used", {}).get("pods") == "1")),
        about="a quota that is used up by what is wanted",
    ),
    Case(
        "restarted-long-ago",
        (Step((deployment(script=ONCE + SLEEP, pod=STATE, volumeMounts=ON_STATE),), until=both(crashed(), ready())),),
        edit=long_ago,
        about="one restart, three days ago",
    ),
)
