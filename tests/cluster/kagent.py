# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real kagent in the built-in cluster: controller and Go agent runtime as pods from local images, PostgreSQL as a process of this machine.

``up(cluster, model)`` installs it and returns where it is; ``down(cluster)`` takes it away again, and so does ``down`` of the cluster. ``model``
is the address of an OpenAI-compatible endpoint that pods can reach. The programs kagent-controller and kagent-adk-go (v0.9.5) are looked for on the
PATH, their CRDs in AIOPS_KAGENT_CRDS or, as kagent-crds.yaml, beside the controller. Debian's package postgresql is installed where it is missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pwd
import shutil
import signal
import tarfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import images, packages, processes
from .binaries import fingerprint
from .console import ClusterError, find_program, run, say, tail_of, wait_until
from .model import Cluster
from .settings import NODE_ADDRESS, POD_CIDR, Paths, architecture, paths

ENV_CRDS = "AIOPS_KAGENT_CRDS"
NAMESPACE, AGENT, MODEL = "kagent", "analyst", "scripted"
SECRET, SECRET_KEY = "model-key", "key"
PORT = 8083
DATABASE_PORT = 15432
DATABASE = "kagent"  # name of the database, of its user, and of the process
START_SECONDS = 120.0
CONTROLLER, RUNTIME = "kagent-controller", "kagent-adk-go"
IMAGES = {
    "kagent-controller": images.Image(entrypoint=(f"/{CONTROLLER}",), programs=(CONTROLLER,)),
    # the controller takes the runtime's image from the registry, repository and tag that it is given, with this last part
    "kagent/golang-adk": images.Image(entrypoint=(f"/{RUNTIME}",), programs=(RUNTIME,)),
}


@dataclass(frozen=True)
class Kagent:
    """Where it is. url: of the controller, for this machine; service: the same through the API server; agent: one that answers."""

    url: str
    service: str
    namespace: str
    agent: str


def programs() -> tuple[dict[str, Path], Path]:
    """(the programs, the file of CRDs). Raises ClusterError, which says where they come from."""
    found = {name: find_program(name) for name in (CONTROLLER, RUNTIME)}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise ClusterError(f"{', '.join(missing)} of kagent v0.9.5 must be on the PATH: see https://github.com/kagent-dev/kagent/releases")
    known = {name: path for name, path in found.items() if path is not None}
    crds = Path(os.environ.get(ENV_CRDS) or known[CONTROLLER].with_name("kagent-crds.yaml"))
    if not crds.is_file():
        raise ClusterError(f"{crds} is missing: it holds the CRDs of kagent v0.9.5 (chart kagent-crds); {ENV_CRDS} names another place")
    return known, crds


def up(cluster: Cluster, model: str) -> Kagent:
    """Install it, and wait until its agent is ready. Raises ClusterError; what was begun then is removed by ``down``."""
    if not cluster.node_address:
        raise ClusterError("kagent is only installed in the built-in cluster: its images come from no registry")
    built, crds = programs()
    where = paths()
    _finish_removal(cluster)
    say("installing kagent: images, database and definitions")
    with ThreadPoolExecutor(3) as pool:
        steps = [
            pool.submit(images.load, where, _archive(built, where.cache)),
            pool.submit(_start_database, where),
            pool.submit(_apply, cluster, crds.read_text(encoding="utf-8")),
        ]
        for step in steps:
            step.result()
    _apply(cluster, json.dumps({"apiVersion": "v1", "kind": "List", "items": objects(model)}))
    complaint = wait_until(lambda: _not_ready(cluster), START_SECONDS, 0.3)
    if complaint:
        raise ClusterError(f"kagent is not ready after {START_SECONDS:.0f} s: {complaint}")
    address = _kubectl(cluster, "get", "service", CONTROLLER, "-o", "jsonpath={.spec.clusterIP}")
    say("kagent is ready")
    return Kagent(f"http://{address}:{PORT}", f"service://{NAMESPACE}/{CONTROLLER}:{PORT}", NAMESPACE, AGENT)


def down(cluster: Cluster, wait: bool = True) -> None:
    """Take everything away. wait: until it is gone."""
    base = [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}"]
    how = ["--timeout=60s"] if wait else ["--wait=false"]
    run([*base, "delete", "namespace", NAMESPACE, "--ignore-not-found", *how], timeout=90)
    run([*base, "delete", "clusterrolebinding", CONTROLLER, "--ignore-not-found"])
    names = run([*base, "get", "crds", "-o", "name"]).stdout.split()
    ours = [name for name in names if name.endswith(".kagent.dev")]
    if ours:
        run([*base, "delete", *ours, *how], timeout=90)
    stop_database(paths())


def _finish_removal(cluster: Cluster) -> None:
    """What is going away takes nothing new in: wait until it is gone."""
    found = run(
        [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", "get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "jsonpath={.status.phase}"]
    )
    if found.stdout == "Terminating":
        say("waiting until an earlier kagent is gone")
        down(cluster)


def objects(model: str) -> list[dict[str, Any]]:
    """Everything but the CRDs: the controller, the secret of the model, its configuration, and an agent."""

    def one(api: str, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **body}

    labels = {"app": CONTROLLER}
    database = f"postgres://{DATABASE}@{NODE_ADDRESS}:{DATABASE_PORT}/{DATABASE}?sslmode=disable"
    flags = {
        "postgres-database-url": database,
        "database-vector-enabled": "false",
        "http-server-address": f":{PORT}",
        "image-registry": "localhost",
        "image-repository": "kagent/app",
        "image-tag": "local",
        "image-pull-policy": "Never",
        "streaming-initial-buf-size": "4Ki",  # without them no stream has anything in it; the chart sets the same
        "streaming-max-buf-size": "1Mi",
        "streaming-timeout": "600s",
    }
    container = {
        "name": "controller",
        "image": images.reference("kagent-controller"),
        "imagePullPolicy": "Never",
        "env": [{"name": "KAGENT_NAMESPACE", "value": NAMESPACE}],
        "args": [f"-{name}={value}" for name, value in flags.items()],
        "readinessProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1},
    }
    pod = {"serviceAccountName": CONTROLLER, "terminationGracePeriodSeconds": 1, "containers": [container]}
    model_config = {"provider": "OpenAI", "model": MODEL, "apiKeySecret": SECRET, "apiKeySecretKey": SECRET_KEY, "openAI": {"baseUrl": model}}
    declarative = {"runtime": "go", "modelConfig": MODEL, "systemMessage": "You give second opinions on what a Kubernetes operations tool found."}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        one("v1", "ServiceAccount", CONTROLLER, {}),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": CONTROLLER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": CONTROLLER, "namespace": NAMESPACE}],
        },
        one("v1", "Secret", SECRET, {"stringData": {SECRET_KEY: "scripted"}}),
        one("v1", "Service", CONTROLLER, {"spec": {"selector": labels, "ports": [{"port": PORT}]}}),
        one(
            "apps/v1",
            "Deployment",
            CONTROLLER,
            {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}},
        ),
        one("kagent.dev/v1alpha2", "ModelConfig", MODEL, {"spec": model_config}),
        one("kagent.dev/v1alpha2", "Agent", AGENT, {"spec": {"type": "Declarative", "description": "second opinions", "declarative": declarative}}),
    ]


def _archive(built: Mapping[str, Path], folder: Path) -> Path:
    """A docker-archive of both images, made once per programs."""
    busybox = find_program("busybox")
    if busybox is None:
        raise ClusterError("busybox is not installed")
    program = {name: path.read_bytes() for name, path in built.items()}
    target = folder / f"kagent-{fingerprint(sorted(program.items()), [repr(IMAGES)])}.tar"
    if target.exists():
        return target
    layers = {"": images.base_layer(busybox.read_bytes(), run([busybox, "--list"]).stdout.split())}
    layers.update({name: images.program_layer(name, data) for name, data in program.items()})
    digests = {name: hashlib.sha256(layer).hexdigest() for name, layer in layers.items()}
    configs = {name: images.config(image, [digests[part] for part in ("", *image.programs)], architecture()) for name, image in IMAGES.items()}
    manifest = [
        {
            "Config": f"{name.replace('/', '-')}.json",
            "RepoTags": [images.reference(name)],
            "Layers": [f"{digests[part]}.tar" for part in ("", *image.programs)],
        }
        for name, image in IMAGES.items()
    ]
    members = {f"{digests[name]}.tar": layer for name, layer in layers.items()}
    members.update({f"{name.replace('/', '-')}.json": config for name, config in configs.items()})
    members["manifest.json"] = json.dumps(manifest).encode()
    temporary = folder / f".kagent.{os.getpid()}"
    with tarfile.open(temporary, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return temporary.replace(target)


def _apply(cluster: Cluster, text: str) -> None:
    command = [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", "apply", "--server-side", "--force-conflicts", "-f", "-"]

    def attempt() -> str:  # a kind is served a moment after its CRD is there
        done = run(command, text=text, check=False)
        return "" if done.returncode == 0 else done.stderr

    complaint = wait_until(attempt, 60.0, 0.5)  # also until an earlier one is gone
    if complaint:
        raise ClusterError(f"kagent could not be applied:\n{complaint[-2000:]}")


def _kubectl(cluster: Cluster, *words: str) -> str:
    return run([cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", "-n", NAMESPACE, *words]).stdout


def _not_ready(cluster: Cluster) -> str:
    conditions = json.loads(_kubectl(cluster, "get", "agents.kagent.dev", AGENT, "-o", "json")).get("status", {}).get("conditions") or []
    ready = {one["type"]: one for one in conditions}.get("Ready", {})
    return "" if ready.get("status") == "True" else f"agent {AGENT}: {ready.get('message') or 'nothing is said about it yet'}"


# --- PostgreSQL: refuses to run as root, so it runs as nobody in a folder of its own ------------------------------------------


def _folder(where: Paths) -> Path:
    """Beside the state folder, which nobody but root may enter."""
    return where.state.with_name(where.state.name + ".kagent")


def _binary(name: str) -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0)
    return found[-1] if found else find_program(name)


def _start_database(where: Paths) -> None:
    running = processes.recorded(where).get(DATABASE)
    if running and processes.alive(running):  # the controller has its tables in it
        return
    if _binary("initdb") is None:
        say("installing postgresql (apt-get)")
        with packages._no_services():  # pylint: disable=protected-access
            packages._install(["postgresql"])  # pylint: disable=protected-access
    initdb, server = _binary("initdb"), _binary("postgres")
    if initdb is None or server is None:
        raise ClusterError("initdb and postgres are not installed: install the package postgresql")
    stop_database(where)
    folder, nobody = _folder(where), pwd.getpwnam("nobody")
    folder.mkdir(mode=0o700)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data = folder / "data"
    lower = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]
    run([*lower, initdb, "--pgdata", data, "--username", DATABASE, "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"])
    rules = f"local all {DATABASE} trust\nhost {DATABASE} {DATABASE} {POD_CIDR} trust\n"
    (data / "pg_hba.conf").write_text(rules, encoding="ascii")
    settings = {
        "listen_addresses": NODE_ADDRESS,
        "port": DATABASE_PORT,
        "unix_socket_directories": folder,
        "dynamic_shared_memory_type": "mmap",
        "fsync": "off",
        "max_connections": 40,
        "shared_buffers": "16MB",
        "autovacuum": "off",
    }
    argv = [*lower, str(server), "-D", str(data), *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]
    processes.start(where, DATABASE, [str(word) for word in argv])
    create = [
        *lower,
        _binary("psql") or "psql",
        "--host",
        folder,
        "--port",
        DATABASE_PORT,
        "--username",
        DATABASE,
        "--dbname",
        "postgres",
        "-c",
        f"CREATE DATABASE {DATABASE}",
    ]

    def attempt() -> str:
        done = run([str(word) for word in create], check=False)
        return "" if done.returncode == 0 or "already exists" in done.stderr else done.stderr

    complaint = wait_until(attempt, 20.0)
    if complaint:
        raise ClusterError(f"PostgreSQL does not start: {complaint}\n{tail_of(where.logs / f'{DATABASE}.log')}")


def left(where: Paths) -> list[str]:
    """What the database has left on this machine."""
    process = processes.recorded(where).get(DATABASE)
    found = [f"PostgreSQL (pid {process.pid})"] if process and processes.alive(process) else []
    return [*found, *([str(_folder(where))] if _folder(where).exists() else [])]


def stop_database(where: Paths) -> None:
    """End it as it wants to be ended, which leaves no shared memory behind, and remove its data."""
    process = processes.recorded(where).get(DATABASE)
    if process and processes.alive(process):
        os.kill(process.pid, signal.SIGQUIT)
        until = time.monotonic() + 10
        while processes.alive(process) and time.monotonic() < until:
            time.sleep(0.05)
        processes.kill([process])
    (where.processes / f"{DATABASE}.json").unlink(missing_ok=True)
    shutil.rmtree(_folder(where), ignore_errors=True)
