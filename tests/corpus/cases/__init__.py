# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""All cases, by area. Names are unique and give their namespaces."""

from __future__ import annotations

from tests.corpus.cases import application, containers, healthy, images, placement, storage, workloads
from tests.corpus.model import Case

AREAS: dict[str, tuple[Case, ...]] = {
    "images and references": images.CASES,
    "placement and creation": placement.CASES,
    "volumes, nodes, evictions": storage.CASES,
    "containers and probes": containers.CASES,
    "applications": application.CASES,
    "jobs, rollouts, services": workloads.CASES,
    "healthy": healthy.CASES,
}
# These need the most time until they show: they are begun first
SLOW = frozenset("""
    autoscaler-without-requests chain claim-stuck-terminating crash-between-restarts crash-in-cronjob cronjob-quota cronjob-that-ran
    dependency-came-back empty-dir-full ephemeral-storage-limit image-not-found-cronjob init-hangs init-waits-for-a-service
    job-held-by-sidecar late-first-probe liveness-too-tight long-start node-not-ready paused-before-its-first-rollout readiness-gate
    scheduler-missing stuck-finalizer
    """.split())
_ALL = [case for cases in AREAS.values() for case in cases]
CASES: dict[str, Case] = {case.name: case for case in sorted(_ALL, key=lambda case: case.name not in SLOW)}
# Variants of others: replayed from their recordings by every test run, staged with AIOPS_CORPUS=all and by make bench
VARIANTS = frozenset("""
    autoscaler-without-requests chain-by-selector claim-pending-no-class claim-pending-too-big claim-stuck-terminating
    command-missing-after-update command-missing-in-shell command-not-executable completed-pod config-file-missing
    configmap-missing-after-update configmap-missing-volume cpu-too-much-after-update crash-after-update crash-bare-pod
    crash-daemonset crash-in-cronjob crash-init crash-native-sidecar crash-one-replica crash-sidecar crash-without-a-log
    cronjob-that-ran csi-driver-missing daemon-goes-to-background dependency-came-back directory-over-a-file
    dotnet-file-missing empty-dir-full ephemeral-storage-limit ephemeral-storage-too-much fine-daemonset fine-statefulset
    go-no-such-host image-never-pulled image-not-found-after-update image-not-found-cronjob image-not-found-daemonset
    image-not-found-in-init image-not-found-in-sidecar image-not-found-job image-pull-secret-missing image-registry-busy
    image-registry-unknown-host ingress-port-missing init-hangs init-waits-for-a-service job-dependency job-failed
    job-failed-after-retries job-held-by-sidecar json-environment key-missing-secret key-missing-volume liveness-exec
    liveness-times-out liveness-too-tight liveness-wrong-after-update liveness-wrong-path named-target-port native-sidecar
    nfs-mount-fails no-objects node-affinity node-connection-refused node-module-missing oom-job oom-native-sidecar
    oom-pod oom-sidecar oom-statefulset pod-affinity pod-deadline pod-security-restricted preempted privileged-port
    probe-of-nothing quota-job quota-memory rbac-forbidden-running readiness-exec readiness-sidecar
    readiness-unknown-port-name readiness-wrong-path rejected-for-node-selector rejected-for-sysctl ruby-login-refused
    running-job rust-port-in-use script-not-executable secret-missing-in-init secret-missing-projected
    secret-missing-volume segmentation-fault selector-extra-label service-account-missing-daemonset shell-missing
    startup-too-tight stateful-name-missing storage-class-missing-statefulset subpath-through-a-file suspended-job
    target-port-name-missing tls-expired tolerates-taints undeclared-port unknown-flag unready-for-lack-of-its-database
    unused-configuration working-directory-is-a-file
    """.split())
CORE = frozenset(CASES) - VARIANTS
