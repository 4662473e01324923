# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Images that cannot be had, and references to what is not there.

The registries are programs in one pod, reached by ports of its node (tests/corpus/stage.py): one knows nothing, one refuses, one is too busy.
"""

from __future__ import annotations

from tests.corpus.build import configmap, container, cronjob, daemonset, deployment, from_key, job, made, mounts
from tests.corpus.model import ANY, Case, Step, Want, failing
from tests.corpus.signs import ended, event, ready, waiting

EMPTY, CLOSED, BUSY = "127.0.0.1:25001", "127.0.0.1:25002", "127.0.0.1:25003"
PULLING = waiting("ErrImagePull", "ImagePullBackOff")
CONFIG = waiting("CreateContainerConfigError")
ARM_PROGRAM = (  # the first 64 bytes of a 64-bit program for ARM
    "printf '\\177ELF\\002\\001\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\267\\000\\001\\000\\000\\000' > /work/server;"
    " dd if=/dev/zero bs=1 count=4096 >> /work/server 2>/dev/null; chmod 755 /work/server"
)
WEB = f"{EMPTY}/shop/web:1.2.3"
secret = made("v1", "Secret", "credentials", stringData={"username": "shop"})
three = tuple(deployment(name, envFrom=[{"configMapRef": {"name": "settings"}}]) for name in ("api", "web", "worker"))

CASES = (
    failing("image-not-found", "ImageNotFound", "Deployment/web", WEB, objects=(deployment(image=WEB, replicas=2),), sign=PULLING),
    Case(
        "image-not-found-after-update",
        (Step((deployment(),), until=ready()), Step((deployment(image=WEB),), until=PULLING)),
        (Want("ImageNotFound", "Deployment/web", (WEB,), "undo"),),
    ),
    failing(
        "image-not-found-in-init",
        "ImageNotFound",
        "Deployment/web",
        "migrate",
        f"{EMPTY}/shop/migrate:7",
        objects=(deployment(pod={"initContainers": [container("migrate", "true", image=f"{EMPTY}/shop/migrate:7")]}),),
        sign=PULLING,
    ),
    failing(
        "image-not-found-in-sidecar",
        "ImageNotFound",
        "Deployment/web",
        "proxy",
        f"{EMPTY}/mesh/proxy:v9",
        objects=(deployment(beside=(container("proxy", image=f"{EMPTY}/mesh/proxy:v9"),)),),
        sign=PULLING,
    ),
    failing("image-not-found-daemonset", "ImageNotFound", "DaemonSet/agent", WEB, objects=(daemonset(image=WEB),), sign=PULLING),
    failing("image-not-found-job", "ImageNotFound", "Job/task", WEB, objects=(job(image=WEB),), sign=PULLING),
    failing(
        "image-refused",
        "ImagePullRefused",
        "Deployment/web",
        f"{CLOSED}/shop/web:1",
        objects=(deployment(image=f"{CLOSED}/shop/web:1"),),
        sign=PULLING,
    ),
    failing(
        "image-pull-secret-missing",
        "ImagePullRefused|SecretMissing",
        "Deployment/web",
        "regcred",
        objects=(deployment(image=f"{CLOSED}/shop/api:1", pod={"imagePullSecrets": [{"name": "regcred"}]}),),
        sign=PULLING,
    ),
    failing(
        "image-registry-down",
        "ImagePullFailed",
        "StatefulSet/db|Deployment/web",
        "127.0.0.1:1",
        objects=(deployment(image="127.0.0.1:1/shop/web:1"),),
        sign=PULLING,
    ),
    failing(
        "image-registry-unknown-host",
        "ImagePullFailed",
        "Deployment/web",
        "registry.corp.invalid",
        objects=(deployment(image="registry.corp.invalid/shop/web:1"),),
        sign=PULLING,
    ),
    failing(
        "image-registry-busy",
        "ImagePullFailed",
        "Deployment/web",
        f"{BUSY}/shop/web:1",
        objects=(deployment(image=f"{BUSY}/shop/web:1"),),
        sign=PULLING,
    ),
    failing(
        "image-name-invalid",
        "InvalidImageName",
        "Deployment/web",
        "shop/Web:1.2.3",
        objects=(deployment(image="shop/Web:1.2.3"),),
        sign=waiting("InvalidImageName"),
    ),
    failing(
        "image-never-pulled",
        "ImageNeverPulled",
        "Deployment/web",
        "localhost/shop-web:1",
        objects=(deployment(image="localhost/shop-web:1", imagePullPolicy="Never"),),
        sign=waiting("ErrImageNeverPull"),
    ),
    failing(
        "image-wrong-architecture",
        "ImageWrongArchitecture",
        "Deployment/web",
        objects=(
            deployment(
                command=["/work/server"],
                volumeMounts=[{"name": "work", "mountPath": "/work"}],
                pod={
                    "volumes": [{"name": "work", "emptyDir": {}}],
                    "initContainers": [container("unpack", ARM_PROGRAM, volumeMounts=[{"name": "work", "mountPath": "/work"}])],
                },
            ),
        ),
        sign=ended(),
    ),
    failing(
        "image-not-found-cronjob",
        "ImageNotFound",
        "CronJob/nightly",
        WEB,
        objects=(
            made(
                "batch/v1",
                "CronJob",
                "nightly",
                {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job(image=WEB)["spec"]}},
            ),
        ),
        sign=PULLING,
    ),
    failing(
        "configmap-missing-env",
        "ConfigMapMissing",
        "Deployment/web",
        "settings",
        objects=(deployment(envFrom=[{"configMapRef": {"name": "settings"}}], replicas=2),),
        sign=CONFIG,
    ),
    Case(
        "configmap-missing-shared",
        (Step(three, until=CONFIG),),
        (
            Want(
                "ConfigMapMissing",
                "Deployment/api|Deployment/web|Deployment/worker",
                ("settings",),
                affects=("Deployment/api", "Deployment/web", "Deployment/worker"),
            ),
        ),
        about="one ConfigMap that three workloads need",
    ),
    Case(
        "configmap-missing-after-update",
        (Step((deployment(),), until=ready()), Step((deployment(envFrom=[{"configMapRef": {"name": "settings-v2"}}]),), until=CONFIG)),
        (Want("ConfigMapMissing", "Deployment/web", ("settings-v2",), "undo"),),
    ),
    failing(
        "configmap-missing-volume",
        "ConfigMapMissing",
        "Deployment/web",
        "templates",
        objects=(deployment(**mounts(configMap={"name": "templates"})),),
        sign=event("FailedMount"),
    ),
    failing(
        "secret-missing-env",
        "SecretMissing",
        "Deployment/web",
        "credentials",
        objects=(deployment(env=from_key("secret", "credentials", "password")),),
        sign=CONFIG,
    ),
    failing(
        "secret-missing-volume",
        "SecretMissing",
        "Deployment/web",
        "web-tls",
        objects=(deployment(**mounts(secret={"secretName": "web-tls"})),),
        sign=event("FailedMount"),
    ),
    failing(
        "secret-missing-projected",
        "SecretMissing",
        "Deployment/web",
        "web-token",
        objects=(deployment(**mounts(projected={"sources": [{"secret": {"name": "web-token"}}]})),),
        sign=event("FailedMount"),
    ),
    failing(
        "secret-missing-in-init",
        "SecretMissing",
        "Deployment/web",
        "migration-url",
        objects=(deployment(pod={"initContainers": [container("migrate", "true", env=from_key("secret", "migration-url", "url"))]}),),
        sign=CONFIG,
    ),
    failing(
        "key-missing-configmap",
        "ConfigKeyMissing",
        "Deployment/web",
        "settings",
        "DATABASE_URL",
        objects=(configmap("settings", DATABASE_URI="postgres://db"), deployment(env=from_key("configMap", "settings", "DATABASE_URL"))),
        sign=CONFIG,
        remedy=ANY,
    ),
    failing(
        "key-missing-secret",
        "ConfigKeyMissing",
        "Deployment/web",
        "credentials",
        "password",
        objects=(secret, deployment(env=from_key("secret", "credentials", "password"))),
        sign=CONFIG,
    ),
    failing(
        "key-missing-volume",
        "ConfigKeyMissing",
        "Deployment/web",
        "settings",
        "nginx.conf",
        objects=(
            configmap("settings", other="x"),
            deployment(**mounts(configMap={"name": "settings", "items": [{"key": "nginx.conf", "path": "nginx.conf"}]})),
        ),
        sign=event("FailedMount"),
    ),
    failing(
        "run-as-non-root",
        "RunAsNonRootViolated",
        "Deployment/web",
        objects=(deployment(securityContext={"runAsNonRoot": True}),),
        sign=CONFIG,
    ),
    failing(
        "subpath-through-a-file",
        "ContainerConfigError|VolumeMountFailed",
        "Deployment/web",
        "config/extra",
        objects=(
            configmap("settings", config="x"),
            deployment(
                pod={"volumes": [{"name": "files", "configMap": {"name": "settings"}}]},
                volumeMounts=[{"name": "files", "mountPath": "/etc/app", "subPath": "config/extra"}],
            ),
        ),
        sign=waiting("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
    ),
    failing(
        "crash-in-cronjob",
        "AppCrash|JobFailed",
        "CronJob/nightly",
        "no such table: invoices",
        objects=(cronjob(script="echo 'fatal: no such table: invoices' >&2; exit 2"),),
        sign=ended(status=2),
    ),
)
