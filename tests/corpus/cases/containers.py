# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Containers that do not start, end, are killed, or fail their probes."""

from __future__ import annotations

from tests.corpus.build import (
    SERVE,
    SLEEP,
    bare,
    configmap,
    container,
    daemonset,
    deployment,
    http,
    job,
    log_and_exit,
    mounts,
    run,
    service,
    statefulset,
    tcp,
)
from tests.corpus.model import ANY, Case, Object, Step, Want, failing
from tests.corpus.signs import both, crashed, ended, event, phase, ready, running, unready, waiting
from tests.integration.staging import LOSES_MEMORY

LIMIT = {"limits": {"memory": "20Mi"}}
OOM = ended("OOMKilled")
START = waiting("RunContainerError", "CrashLoopBackOff", "StartError", "CreateContainerError")
HTTP_PORT = [{"name": "http", "containerPort": 8080}]
TIGHT = "sleep 25; mkdir -p /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"


def native(name: str, script: str, **more: object) -> Object:
    """A sidecar as Kubernetes itself knows it."""
    return {"initContainers": [container(name, script, restartPolicy="Always", **more)]}


TERMINATION = (
    failing("command-missing", "CommandNotFound", "Deployment/web", "/usr/bin/nginx", objects=(deployment(command=["/usr/bin/nginx"]),), sign=START),
    Case(
        "command-missing-after-update",
        (Step((deployment(),), until=ready()), Step((deployment(command=["serve", "--port=8080"]),), until=START)),
        (Want("CommandNotFound", "Deployment/web", ("serve",), "undo"),),
    ),
    failing(
        "command-missing-in-shell",
        "CommandNotFound",
        "Deployment/web",
        "gunicorn",
        objects=(deployment(script="gunicorn --bind :8000 app"),),
        sign=ended(status=127),
    ),
    failing("command-not-executable", "CommandNotFound", "Deployment/web", "/etc/passwd", objects=(deployment(command=["/etc/passwd"]),), sign=START),
    failing(
        "script-not-executable",
        "CommandNotFound|PermissionDenied",
        "Deployment/web",
        "/scripts/start.sh",
        objects=(
            configmap("scripts", **{"start.sh": "#!/bin/sh\nexec sleep 100000\n"}),
            deployment(command=["/scripts/start.sh"], **mounts("/scripts", configMap={"name": "scripts", "defaultMode": 0o644})),
        ),
        sign=START,
    ),
    failing(
        "shell-missing",
        "CommandNotFound",
        "Deployment/web",
        "/bin/bash",
        objects=(deployment(command=["/bin/bash", "-c", "exec sleep 1000"]),),
        sign=START,
    ),
    failing(
        "working-directory-is-a-file",
        "ContainerStartFailed|CommandNotFound",
        "Deployment/web",
        "/etc/passwd",
        objects=(deployment(workingDir="/etc/passwd"),),
        sign=START,
    ),
    failing(
        "directory-over-a-file",
        "ContainerStartFailed|VolumeMountFailed",
        "Deployment/web",
        "/etc/passwd",
        objects=(configmap("users", a="b"), deployment(**mounts("/etc/passwd", configMap={"name": "users"}))),
        sign=START,
    ),
    failing(
        "post-start-hook",
        "PostStartHookFailed",
        "Deployment/web",
        "register",
        objects=(deployment(lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "register --now || exit 4"]}}}),),
        sign=event("FailedPostStartHook"),
    ),
    failing(
        "oom",
        "OOMKilled",
        "Deployment/web",
        "20Mi",
        objects=(deployment(script=LOSES_MEMORY, resources=LIMIT, replicas=2),),
        sign=OOM,
        remedy="memory",
    ),
    failing(
        "oom-statefulset",
        "OOMKilled",
        "StatefulSet/db",
        "20Mi",
        objects=(statefulset(script=LOSES_MEMORY, resources=LIMIT), service("db", 5432, clusterIP="None")),
        sign=OOM,
        remedy="memory",
    ),
    failing("oom-pod", "OOMKilled", "Pod/lone", "20Mi", objects=(bare(script=LOSES_MEMORY, resources=LIMIT),), sign=OOM),
    failing(
        "oom-job", "OOMKilled", "Job/task", "20Mi", objects=(job(script=LOSES_MEMORY, resources=LIMIT),), sign=both(OOM, phase("Failed")), remedy=ANY
    ),
    failing(
        "oom-sidecar",
        "OOMKilled",
        "Deployment/web",
        "20Mi",
        "shipper",
        objects=(deployment(beside=(container("shipper", LOSES_MEMORY, resources=LIMIT),)),),
        sign=OOM,
        remedy="memory",
    ),
    failing(
        "oom-native-sidecar",
        "OOMKilled",
        "Deployment/web",
        "20Mi",
        "mesh",
        objects=(deployment(pod=native("mesh", LOSES_MEMORY, resources=LIMIT)),),
        sign=OOM,
        remedy="memory",
    ),
    failing(
        "oom-init",
        "OOMKilled",
        "Deployment/web",
        "20Mi",
        "index",
        objects=(deployment(pod={"initContainers": [container("index", LOSES_MEMORY, resources=LIMIT)]}),),
        sign=OOM,
        remedy="memory",
    ),
    failing(
        "killed-not-for-memory",
        "KilledNotOOM",
        "Deployment/web",
        "137",
        objects=(deployment(script="sleep 1000 & kill -9 $!; wait $!"),),
        sign=crashed(),
    ),
    failing(
        "segmentation-fault", "AppCrash", "Deployment/web", "139", objects=(deployment(script="sh -c 'kill -SEGV $$$$'; exit $?"),), sign=crashed()
    ),
    failing("ends-at-once", "MainProcessEnds", "Deployment/web", objects=(deployment(script="echo migrated 12 tables"),), sign=crashed()),
    failing(
        "daemon-goes-to-background",
        "MainProcessEnds",
        "Deployment/web",
        objects=(deployment(script="httpd -p 8080; echo server started in background"),),
        sign=crashed(),
    ),
    failing("crash-without-a-log", "AppCrash", "Deployment/web", "3", objects=(deployment(script="exit 3"),), sign=crashed()),
    failing(
        "crash-between-restarts",
        "AppCrash",
        "Deployment/web",
        "worker pool exhausted",
        objects=(deployment(script=log_and_exit("fatal: worker pool exhausted", 4, after=45)),),
        sign=both(crashed(), running),
        about="it runs most of the time; only the previous run says why it ends",
    ),
    failing(
        "crash-native-sidecar",
        "AppCrash",
        "Deployment/web",
        "mesh",
        "no route table",
        objects=(deployment(pod=native("mesh", log_and_exit("fatal: no route table"))),),
        sign=crashed(),
    ),
    failing(
        "crash-sidecar",
        "AppCrash",
        "Deployment/web",
        "shipper",
        "unknown output kafka2",
        objects=(deployment(replicas=2, beside=(container("shipper", log_and_exit("error: unknown output kafka2")),)),),
        sign=crashed(),
    ),
    failing(
        "crash-init",
        "AppCrash",
        "StatefulSet/db",
        "migrate",
        "relation users already exists",
        objects=(
            statefulset(pod={"initContainers": [container("migrate", log_and_exit("ERROR: relation users already exists", 3))]}),
            service("db", 5432, clusterIP="None"),
        ),
        sign=crashed(),
    ),
    failing(
        "crash-daemonset",
        "AppCrash",
        "DaemonSet/agent",
        "unsupported kernel",
        objects=(daemonset(script=log_and_exit("fatal: unsupported kernel")),),
        sign=crashed(),
    ),
    failing(
        "crash-bare-pod",
        "AppCrash",
        "Pod/lone",
        "bad checksum",
        objects=(bare(script=log_and_exit("bad checksum", 5), pod={"restartPolicy": "Never"}),),
        sign=phase("Failed"),
    ),
    failing(
        "crash-one-replica",
        "AppCrash",
        "StatefulSet/db",
        "cannot join",
        objects=(
            statefulset(
                script=f"case $HOSTNAME in *-1) echo 'fatal: cannot join the cluster: duplicate member id' >&2; exit 1;; esac; {SLEEP}",
                replicas=2,
                spec={"podManagementPolicy": "Parallel"},
            ),
            service("db", 5432, clusterIP="None"),
        ),
        sign=crashed(),
    ),
    Case(
        "crash-after-update",
        (
            Step((deployment(replicas=2),), until=ready(2)),
            Step((deployment(script=log_and_exit("error: unknown flag: --prot"), replicas=2),), until=crashed()),
        ),
        (Want("AppCrash|ConfigurationInvalid", "Deployment/web", ("--prot",), "undo"),),
    ),
)

PROBES = (
    failing(
        "liveness-wrong-path",
        "LivenessProbeFailing",
        "Deployment/web",
        "/healthz",
        "404",
        objects=(deployment(script=SERVE, livenessProbe=http("/healthz", 8080), ports=HTTP_PORT),),
        sign=crashed(),
    ),
    failing(
        "liveness-wrong-port",
        "LivenessProbeFailing",
        "Deployment/web",
        "8081",
        "8080",
        objects=(deployment(script=SERVE, livenessProbe=http("/", 8081), ports=HTTP_PORT),),
        sign=crashed(),
        remedy="probe",
    ),
    failing(
        "liveness-too-tight",
        "LivenessProbeFailing",
        "Deployment/web",
        "8080",
        objects=(deployment(script=TIGHT, livenessProbe=http("/", 8080, failureThreshold=3), ports=HTTP_PORT),),
        sign=crashed(),
        remedy=ANY,
    ),
    failing(
        "liveness-exec",
        "LivenessProbeFailing",
        "Deployment/web",
        "cat /tmp/alive",
        objects=(deployment(livenessProbe=run("cat", "/tmp/alive")),),
        sign=crashed(),
    ),
    failing(
        "liveness-times-out",
        "LivenessProbeFailing",
        "Deployment/web",
        "timeout|timed out|1 s",
        objects=(deployment(livenessProbe=run("sleep", "4", timeoutSeconds=1)),),
        sign=crashed(),
        remedy=ANY,
    ),
    Case(
        "liveness-wrong-after-update",
        (
            Step((deployment(script=SERVE, livenessProbe=http("/", 8080)),), until=ready()),
            Step((deployment(script=SERVE, livenessProbe=http("/live", 8080)),), until=crashed()),
        ),
        (Want("LivenessProbeFailing", "Deployment/web", ("/live",), ANY),),
        about="no pod of the earlier revision is left, since nothing but the probe says that the new one is bad",
    ),
    failing(
        "startup-too-tight",
        "StartupProbeFailing",
        "Deployment/web",
        "8080",
        objects=(deployment(script=TIGHT, startupProbe=tcp(8080, failureThreshold=5), ports=HTTP_PORT),),
        sign=crashed(),
        remedy=ANY,
    ),
    failing(
        "startup-wrong-port",
        "StartupProbeFailing",
        "Deployment/web",
        "9090",
        objects=(deployment(script=SERVE, startupProbe=tcp(9090, failureThreshold=3), ports=HTTP_PORT),),
        sign=crashed(),
        remedy="probe",
    ),
    failing(
        "readiness-wrong-path",
        "ReadinessProbeFailing",
        "Deployment/web",
        "/ready",
        "404",
        objects=(deployment(script=SERVE, readinessProbe=http("/ready", 8080), ports=HTTP_PORT, replicas=2), service("web", 80, 8080)),
        sign=unready,
    ),
    failing(
        "readiness-wrong-port",
        "ReadinessProbeFailing",
        "Deployment/web",
        "9090",
        "8080",
        objects=(deployment(script=SERVE, readinessProbe=tcp(9090), ports=HTTP_PORT), service("web", 80, 8080)),
        sign=unready,
        remedy="probe",
    ),
    failing(
        "readiness-unknown-port-name",
        "ReadinessProbeFailing",
        "Deployment/web",
        "metrics",
        objects=(deployment(script=SERVE, readinessProbe=http("/", "metrics"), ports=HTTP_PORT),),
        sign=unready,
        remedy=ANY,
    ),
    failing(
        "readiness-exec",
        "ReadinessProbeFailing",
        "StatefulSet/db",
        "pg_isready",
        objects=(statefulset(readinessProbe=run("sh", "-c", "pg_isready -h localhost")), service("db", 5432, clusterIP="None")),
        sign=unready,
        remedy=ANY,
    ),
    failing(
        "readiness-sidecar",
        "ReadinessProbeFailing",
        "Deployment/web",
        "15021",
        objects=(deployment(beside=(container("proxy", readinessProbe=tcp(15021)),)),),
        sign=unready,
        remedy=ANY,
    ),
)
CASES = TERMINATION + PROBES
