# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Jobs, rollouts and Services."""

from __future__ import annotations

from tests.corpus.build import SERVE, container, cronjob, deployment, job, log_and_exit, made, service
from tests.corpus.cases.placement import quota
from tests.corpus.model import ANY, Case, Object, Step, Want, failing
from tests.corpus.signs import after, both, condition, crashed, event, phase, ready, that

SERVED = [{"name": "http", "containerPort": 8080}]


def ingress(service_name: str, port: Object) -> Object:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service_name, "port": port}}}
    return made("networking.k8s.io/v1", "Ingress", "shop", {"rules": [{"host": "shop.example.com", "http": {"paths": [path]}}]})


def autoscaler(target: str) -> Object:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [metric],
    }
    return made("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec)


JOBS = (
    failing(
        "job-failed",
        "AppCrash|JobFailed|FileMissing",
        "Job/task",
        "input.csv",
        objects=(job(script=log_and_exit("fatal: input.csv has no rows", 2)),),
        sign=condition("jobs", "Failed"),
    ),
    failing(
        "job-failed-after-retries",
        "AppCrash|JobFailed",
        "Job/task",
        "schema version 9",
        objects=(job(script=log_and_exit("error: schema version 9 is not supported", 1), spec={"backoffLimit": 1}),),
        sign=condition("jobs", "Failed"),
    ),
    failing(
        "job-deadline", "JobDeadlineExceeded", "Job/task", "8", objects=(job(spec={"activeDeadlineSeconds": 8}),), sign=condition("jobs", "Failed")
    ),
    failing(
        "pod-deadline",
        "JobDeadlineExceeded",
        "Pod/lone",
        "5",
        objects=(
            made(
                "v1",
                "Pod",
                "lone",
                {"activeDeadlineSeconds": 5, "terminationGracePeriodSeconds": 1, "restartPolicy": "Never", "containers": [container()]},
            ),
        ),
        sign=phase("Failed"),
    ),
    failing(
        "job-held-by-sidecar",
        "JobStuck",
        "Job/task",
        "proxy",
        objects=(job(script="echo done", beside=(container("proxy"),)),),
        sign=both(phase("Running"), after(80)),
        about="the work is done, and a sidecar keeps the pod from ending",
    ),
    failing(
        "cronjob-quota",
        "CronJobNotScheduled|QuotaExceeded",
        "CronJob/nightly",
        "team-quota",
        objects=(quota(**{"count/jobs_batch": "0"}), cronjob(script="true")),
        sign=event("FailedCreate"),
    ),
)

# a pod that crashes is ready for a moment; the controller must not take that for a rollout that is complete
DEADLINE = {"progressDeadlineSeconds": 10, "minReadySeconds": 5}
ROLLOUTS = (
    failing(
        "paused-before-its-first-rollout",
        "RolloutStuck",
        "Deployment/web",
        "paused",
        objects=(deployment(spec={"paused": True}),),
        sign=after(70),
        remedy=ANY,
    ),
    Case(
        "rollout-deadline",
        (
            Step((deployment(spec=DEADLINE),), until=ready()),
            Step(
                (deployment(script=log_and_exit("fatal: bad release"), spec=DEADLINE),),
                until=both(crashed(), condition("deployments", "Progressing", "False")),
            ),
        ),
        (Want("AppCrash", "Deployment/web", ("bad release",), "undo"),),
        about="the rollout's deadline has passed: the crash is the cause",
    ),
)

SERVICES = (
    failing(
        "selector-typo",
        "SelectorMismatch",
        "Service/web",
        "wbe",
        objects=(deployment(script=SERVE, ports=SERVED), service("web", 80, 8080, {"app": "wbe"})),
        sign=both(ready(), after(25)),
        remedy=ANY,
    ),
    failing(
        "selector-extra-label",
        "SelectorMismatch",
        "Service/web",
        "tier",
        objects=(deployment(script=SERVE, ports=SERVED), service("web", 80, 8080, {"app": "web", "tier": "frontend"})),
        sign=both(ready(), after(25)),
        remedy=ANY,
    ),
    failing(
        "target-port-wrong",
        "TargetPortMismatch",
        "Service/web",
        "8081",
        "8080",
        objects=(deployment(script=SERVE, ports=SERVED), service("web", 80, 8081)),
        sign=both(ready(), after(25)),
        remedy=ANY,
    ),
    failing(
        "target-port-name-missing",
        "TargetPortMismatch",
        "Service/web",
        "web-port",
        "http",
        objects=(deployment(script=SERVE, ports=SERVED), service("web", 80, "web-port")),
        sign=both(ready(), after(25)),
        remedy=ANY,
    ),
    failing(
        "service-for-nothing",
        "ServiceWithoutBackend|SelectorMismatch",
        "Service/payments",
        "payments",
        objects=(deployment(script=SERVE), service("payments", 80)),
        sign=both(ready(), after(25)),
        remedy=ANY,
    ),
    failing(
        "ingress-service-missing",
        "IngressBackendMissing",
        "Ingress/shop",
        "storefront",
        objects=(deployment(script=SERVE, ports=SERVED), service("web", 80, 8080), ingress("storefront", {"number": 80})),
        sign=ready(),
        remedy=ANY,
    ),
    failing(
        "ingress-port-missing",
        "IngressBackendMissing",
        "Ingress/shop",
        "8443",
        objects=(deployment(script=SERVE, ports=SERVED), service("web", 80, 8080), ingress("web", {"number": 8443})),
        sign=ready(),
        remedy=ANY,
    ),
    failing(
        "autoscaler-target-missing",
        "AutoscalerFailing",
        "HorizontalPodAutoscaler/web",
        "wep",
        objects=(deployment(), autoscaler("wep")),
        sign=condition("horizontalpodautoscalers", "AbleToScale", "False"),
        remedy=ANY,
    ),
    failing(
        "autoscaler-without-requests",
        "AutoscalerFailing",
        "HorizontalPodAutoscaler/web",
        "cpu",
        "request",
        objects=(deployment(), autoscaler("web")),
        sign=that("horizontalpodautoscalers", lambda item: "missing request" in str(item.get("status"))),
        remedy=ANY,
    ),
    Case(
        "claim-stuck-terminating",
        (
            Step(
                (
                    made(
                        "v1",
                        "PersistentVolume",
                        "corpus-held",
                        {
                            "capacity": {"storage": "1Mi"},
                            "accessModes": ["ReadWriteOnce"],
                            "hostPath": {"path": "/tmp/corpus-held", "type": "DirectoryOrCreate"},
                            "storageClassName": "",
                            "persistentVolumeReclaimPolicy": "Retain",
                            "claimRef": {"namespace": "corpus-claim-stuck-terminating", "name": "data"},
                        },
                    ),
                    made(
                        "v1",
                        "PersistentVolumeClaim",
                        "data",
                        {
                            "accessModes": ["ReadWriteOnce"],
                            "storageClassName": "",
                            "volumeName": "corpus-held",
                            "resources": {"requests": {"storage": "1Mi"}},
                        },
                        metadata={"finalizers": ["example.com/backup"]},
                    ),
                ),
                until=that("persistentvolumeclaims", lambda item: item["status"].get("phase") == "Bound"),
            ),
            Step(kubectl=(("delete", "pvc", "data", "--wait=false"),), until=after(75)),
        ),
        (Want("StuckTerminating", "PersistentVolumeClaim/data", ("example.com/backup",)),),
    ),
)
CASES = JOBS + ROLLOUTS + SERVICES
