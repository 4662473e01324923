# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Containers that cannot be created. The messages are those that containerd and the kubelet give."""

from __future__ import annotations

import pytest

from tests.unit.diagnosis.objects import Object, codes, event, excerpts, only, pod, snapshot, spec, waiting

UNPACK = 'failed to pull and unpack image "{0}": failed to resolve reference "{0}": '
PULLS: list[tuple[str, str, str, str]] = [
    ("no such tag", "docker.io/library/nginx:9.99", "{0}: not found", "ImageNotFound"),
    ("no such tag at GHCR", "ghcr.io/acme/web:2", "ghcr.io/acme/web:2: not found", "ImageNotFound"),
    (
        "manifest unknown",
        "quay.io/acme/web:2",
        "unexpected status from HEAD request to https://quay.io/v2/acme/web/manifests/2: manifest unknown",
        "ImageNotFound",
    ),
    ("another architecture", "acme/web:2", "no match for platform in manifest: not found", "ImageWrongArchitecture"),
    ("a short name", "nosuch:1", "docker.io/library/nosuch:1: not found", "ImageNotFound"),
    ("a name of bad omen", "registry.example/tls-proxy:401", "registry.example/tls-proxy:401: not found", "ImageNotFound"),
    ("a tag of bad omen", "acme/web:1.503", "docker.io/acme/web:1.503: not found", "ImageNotFound"),
    ("an unauthorized name", "acme/forbidden-denied:429", "docker.io/acme/forbidden-denied:429: not found", "ImageNotFound"),
    (
        "private or missing at Docker Hub",
        "acme/private:1",
        "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        "ImagePullRefused",
    ),
    (
        "no credentials",
        "registry.example/web:1",
        "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.example/token?x: 401 Unauthorized",
        "ImagePullRefused",
    ),
    (
        "forbidden",
        "ghcr.io/acme/web:1",
        "unexpected status from HEAD request to https://ghcr.io/v2/acme/web/manifests/1: 403 Forbidden",
        "ImagePullRefused",
    ),
    ("token server says not found", "ghcr.io/acme/web:1", "failed to authorize: failed to fetch oauth token: denied: not found", "ImagePullRefused"),
    (
        "no such registry",
        "nowhere.example/web:1",
        'failed to do request: Head "https://nowhere.example/v2/web/manifests/1": dial tcp: lookup nowhere.example on 10.96.0.10:53: no such host',
        "ImagePullFailed",
    ),
    (
        "refused connection",
        "localhost:1/tls-app:401",
        'failed to do request: Head "http://localhost:1/v2/tls-app/manifests/401": dial tcp 127.0.0.1:1: connect: connection refused',
        "ImagePullFailed",
    ),
    (
        "certificate",
        "registry.example/web:1",
        'failed to do request: Head "https://registry.example/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
        "ImagePullFailed",
    ),
    (
        "rate limit",
        "docker.io/library/nginx:1",
        (
            "unexpected status from GET request to https://registry-1.docker.io/v2/: 429 Too Many Requests: toomanyrequests: You have reached your"
            " pull rate limit"
        ),
        "ImagePullFailed",
    ),
    (
        "time-out",
        "registry.example/web:1",
        'failed to do request: Head "https://registry.example/v2/web/manifests/1": dial tcp 10.0.0.9:443: i/o timeout',
        "ImagePullFailed",
    ),
    (
        "registry broken",
        "registry.example/web:1",
        "unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 503 Service Unavailable",
        "ImagePullFailed",
    ),
    ("something else", "registry.example/web:1", "short read", "ImagePullFailed"),
]


def pulling(image: str, message: str, reason: str) -> Object:
    return pod(waiting(reason, message), specs=[spec(image=image)], phase="Pending")


@pytest.mark.parametrize("what, image, answer, code", PULLS, ids=[row[0] for row in PULLS])
@pytest.mark.parametrize("form", ["pull error", "back-off", "back-off with the cause in events only"])
def test_why_an_image_is_not_had(what: str, image: str, answer: str, code: str, form: str) -> None:
    message = (UNPACK + answer).format(image)
    if form == "pull error":
        one = pulling(image, message, "ErrImagePull")
    elif form == "back-off":
        one = pulling(image, f'Back-off pulling image "{image}": ErrImagePull: {message}', "ImagePullBackOff")
    else:
        one = pulling(image, f'Back-off pulling image "{image}"', "ImagePullBackOff")
    events = [
        event(one, "Failed", f'Failed to pull image "{image}": {message}', 40),
        event(one, "Failed", "Error: ErrImagePull", 39),
        event(one, "BackOff", f'Back-off pulling image "{image}"', 10),
    ]
    taken = snapshot(one, *events)
    finding = only(taken)
    assert finding.code == code and image in finding.root_cause and finding.container == "app"
    assert "Failed to pull image" in excerpts(taken)


def test_an_invalid_name() -> None:
    message = (
        'Failed to apply default image tag "UPPER/Case:tag": couldn\'t parse image name "UPPER/Case:tag": invalid reference format: repository name'
        " (Case) must be lowercase"
    )
    one = pulling("UPPER/Case:tag", message, "InvalidImageName")
    finding = only(snapshot(one, event(one, "InspectFailed", message)))
    assert (finding.code, finding.root_cause) == ("InvalidImageName", "The image reference 'UPPER/Case:tag' is not valid.")
    assert finding.document()["runbook"] == "docs/runbooks/troubleshoot-invalidimagename.md"


def test_an_image_that_may_not_be_pulled() -> None:
    message = 'Container image "localhost/other:1" is not present with pull policy of Never'
    one = pulling("localhost/other:1", message, "ErrImageNeverPull")
    assert only(snapshot(one, event(one, "ErrImageNeverPull", message))).code == "ImageNeverPulled"


def test_events_about_another_image_are_not_mixed_in() -> None:
    one = pulling("acme/web:2", "docker.io/acme/web:2: not found", "ErrImagePull")
    other = event(one, "Failed", 'Failed to pull image "acme/sidecar:1": dial tcp: no such host')
    assert codes(snapshot(one, other)) == ["ImageNotFound"]


CREATES: list[tuple[str, str, str, str]] = [
    ("ConfigMap in env", 'configmap "settings" not found', "ConfigMapMissing", "ConfigMap settings does not exist in namespace shop"),
    ("Secret in env", 'secret "db" not found', "SecretMissing", "Secret db does not exist in namespace shop"),
    ("plural", 'secrets "db" is not found', "SecretMissing", "Secret db does not exist in namespace shop"),
    ("key of a ConfigMap", "couldn't find key mode in ConfigMap shop/settings", "ConfigKeyMissing", "ConfigMap settings exists but has no key mode"),
    ("key of a Secret", "couldn't find key password in Secret shop/db", "ConfigKeyMissing", "Secret db exists but has no key password"),
    (
        "runs as root",
        'container has runAsNonRoot and image will run as root (pod: "web-1_shop(uid)", container: app)',
        "RunAsNonRootViolated",
        "demands runAsNonRoot",
    ),
    ("no message", "", "ContainerConfigError", "The kubelet refuses the configuration of container app: "),
]


@pytest.mark.parametrize("what, message, code, cause", CREATES, ids=[row[0] for row in CREATES])
def test_what_a_container_lacks(what: str, message: str, code: str, cause: str) -> None:
    one = pod(waiting("CreateContainerConfigError", message), phase="Pending")
    taken = snapshot(one, event(one, "Failed", f"Error: {message}"))
    finding = only(taken)
    assert (finding.code, finding.container) == (code, "app") and cause in finding.root_cause
    assert f"waiting: CreateContainerConfigError: {message}".strip() in excerpts(taken)


def test_a_secret_is_for_a_person_to_give() -> None:
    one = pod(waiting("CreateContainerConfigError", 'secret "db" not found'), phase="Pending")
    assert "with the right values (they are for a person to give)" in only(snapshot(one)).suggested_fix


def test_another_create_error_is_judged_by_the_rules_that_follow() -> None:
    message = 'failed to create containerd container: exec: "nosuch": executable file not found in $PATH'
    assert codes(snapshot(pod(waiting("CreateContainerError", message), phase="Pending"))) == ["CommandNotFound"]
    assert codes(snapshot(pod(waiting("CreateContainerError", "context deadline exceeded"), phase="Pending"))) == ["ContainerStartFailed"]


MOUNTS: list[tuple[str, str, str, str]] = [
    (
        "ConfigMap",
        'MountVolume.SetUp failed for volume "config" : configmap "settings" not found',
        "ConfigMapMissing",
        "ConfigMap settings does not exist in namespace shop, so volume config",
    ),
    ("Secret", 'MountVolume.SetUp failed for volume "certs" : secret "tls" not found', "SecretMissing", "Secret tls does not exist in namespace shop"),
    (
        "key of a ConfigMap",
        'MountVolume.SetUp failed for volume "config" : configmap references non-existent config key: nokey',
        "ConfigKeyMissing",
        "ConfigMap settings exists but has no key nokey, so volume config",
    ),
    (
        "key of a Secret",
        'MountVolume.SetUp failed for volume "certs" : references non-existent secret key: nokey',
        "ConfigKeyMissing",
        "Secret tls exists but has no key nokey",
    ),
    (
        "key of a projection",
        'MountVolume.SetUp failed for volume "all" : configmap references non-existent config key: nokey',
        "ConfigKeyMissing",
        "ConfigMap of volume all exists but has no key nokey",
    ),
]
VOLUMES = [
    {"name": "config", "configMap": {"name": "settings"}},
    {"name": "certs", "secret": {"secretName": "tls"}},
    {"name": "all", "projected": {"sources": []}},
]


def mounting(message: str, seconds: float = 60, phase: str = "Pending") -> tuple[Object, Object]:
    one = pod(waiting("ContainerCreating"), phase=phase)
    one["spec"]["volumes"] = VOLUMES
    return one, event(one, "FailedMount", message, seconds)


@pytest.mark.parametrize("what, message, code, cause", MOUNTS, ids=[row[0] for row in MOUNTS])
def test_what_a_volume_lacks(what: str, message: str, code: str, cause: str) -> None:
    finding = only(snapshot(*mounting(message)))
    assert (finding.code, finding.container) == (code, "") and cause in finding.root_cause


@pytest.mark.parametrize("what, seconds, phase", [("long ago", 601, "Pending"), ("the pod runs by now", 60, "Running")])
def test_a_mount_that_failed_and_then_did_not(what: str, seconds: float, phase: str) -> None:
    assert codes(snapshot(*mounting(MOUNTS[0][1], seconds, phase))) == []


def test_other_mount_failures_blame_no_configuration() -> None:
    assert codes(snapshot(*mounting('MountVolume.SetUp failed for volume "data" : rpc error: code = Internal desc = mount failed'))) == ["VolumeMountFailed"]


def test_an_older_event_still_names_what_is_missing() -> None:
    one, first = mounting(MOUNTS[0][1], 120)
    assert codes(snapshot(one, first, event(one, "FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition", 30))) == [
        "ConfigMapMissing"
    ]
