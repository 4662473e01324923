# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The built-in cluster: a real one-node Kubernetes from Go programs and Debian packages, without a container engine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import binaries, cgroups, configs, firewall, health, images, model, network, packages, pki, processes, teardown
from .console import ClusterError, find_program, read_json, run, say, tail_of, wait_until, write_private
from .programs import Daemon, daemons
from .settings import BUILTIN_IMAGE, NODE_ADDRESS, TEMPLATES, Paths

START_SECONDS = 60.0
ADDON_SECONDS = 120.0
PATIENCE = 30.0  # seconds that a complaint about a running cluster must last before it is replaced


def key() -> str:
    """Names the cluster that this checkout would start; two checkouts with the same key can share one.

    Made of what would run, with neutral paths, so that neither a comment nor where a cache lies makes a difference.
    """
    neutral = Path("/x")
    commands = daemons(Paths(neutral, neutral, neutral), neutral, neutral, neutral)
    shape = [
        repr([(name, daemon.argv) for name, daemon in commands.items()]),
        configs.cni_network(neutral),
        firewall.own_rules(),
        repr((network.WANTED, images.RECIPE, images.IMAGES, pki.LEAVES)),
    ]
    templates = [(path.name, path.read_bytes()) for path in TEMPLATES.iterdir()]
    return f"{binaries.key()}-{binaries.fingerprint(templates, shape)[:6]}"


def programs(paths: Paths) -> dict[str, Daemon]:
    """The cluster's programs with this machine's paths."""
    etcd, containerd = (find_program(name) or Path(name) for name in ("etcd", "containerd"))
    return daemons(paths, etcd, containerd, binaries.folder(paths))


def report(paths: Paths) -> dict[str, str]:
    """Part -> "" when well, else the complaint; a running cluster whose record is gone is reported as such."""
    if read_json(paths.builtin) is None:
        return {"cluster": "not running"}
    return health.report(paths, programs(paths))


def replace_because(record: Mapping[str, object], wanted: str, complaint: str, certificates_end: bool) -> str:
    """Why the cluster of `record` (builtin.json) cannot be used as it is, "" when it can.

    `wanted` is the key that this checkout needs, `complaint` the first thing that is not well.
    """
    if complaint:
        return f"it is not healthy ({complaint})"
    if record.get("key") != wanted:
        return f"it has other components ({record.get('key')}, this checkout needs {wanted})"
    if certificates_end:
        return "its certificates end within a day"
    return ""


def ready(paths: Paths) -> dict[str, object] | None:
    """The record of a running cluster that can be used as it is, or None; says which and why."""
    record = read_json(paths.builtin)
    if record is None:
        return None
    whose = f"the built-in cluster of {record.get('owner')}, up since {record.get('started')},"
    complaint = _lasting(lambda: health.first(lambda: health.report(paths, programs(paths))))
    reason = replace_because(record, key(), complaint, pki.expires_soon(paths.pki))
    if reason:
        say(f"replacing {whose} because {reason}")
        return None
    say(f"using {whose} as it is: healthy, same components ({record.get('key')})")
    return record


def _lasting(look: Callable[[], str]) -> str:
    """What is still wrong after a while: on a busy machine a healthy cluster misses a look or two, and replacing it loses all that is in it."""
    until = time.monotonic() + PATIENCE
    while (complaint := look()) and time.monotonic() < until:
        time.sleep(2)
    return complaint


def up(paths: Paths) -> model.Cluster:
    """Start the cluster, or take over one that is running; returns when the node and all add-ons are ready.

    Raises ClusterError, with the last lines of the log that matters, when it does not come up.
    """
    other = teardown.other_state(paths)
    if other:
        raise ClusterError(
            f"this machine already has a built-in cluster with its state in {other}: "
            f"set AIOPS_CLUSTER_STATE={other} to use it or to take it down"
        )
    packages.ensure()
    built = binaries.ensure(paths, binaries.NEEDED)
    record = ready(paths)
    if record is None:
        teardown.down(paths)
        network.check_ports()
        model.claim(paths)
        _start(paths, built)
        record = {"key": key(), "owner": model.owner(), "started": model.now(), "binaries": str(binaries.folder(paths))}
        write_private(paths.builtin, json.dumps(record, indent=2))
    return describe(paths, record)


def describe(paths: Paths, record: Mapping[str, object]) -> model.Cluster:
    """The built-in cluster as tests see it; `record` is builtin.json."""
    folder = str(record["binaries"])
    return model.Cluster(
        provider=model.BUILTIN,
        kubeconfig=str(paths.kubeconfig),
        kubectl=f"{folder}/kubectl",
        image=BUILTIN_IMAGE,
        audit_log=str(paths.audit_log),
        bin_dir=folder,
        node_address=NODE_ADDRESS,
        state_dir=str(paths.state),
        owner=str(record["owner"]),
        started=str(record["started"]),
    )


def _start(paths: Paths, built: dict[str, Path]) -> None:
    paths.runtime.mkdir(mode=0o700, exist_ok=True)
    write_private(paths.runtime / teardown.POINTER, json.dumps({"state": str(paths.state)}))
    teardown.remember(paths)
    say("making certificates, network and control groups")
    network.prepare()
    firewall.prepare()
    cgroups.prepare()
    pki.build(paths.pki)
    containerd = find_program("containerd") or Path("containerd")
    configs.write(paths, packages.cni_folder() or Path(), run([containerd, "config", "default"]).stdout)
    everything, folder = programs(paths), next(iter(built.values())).parent
    api = health.Api(paths.pki)

    def launch(*names: str) -> None:
        for name in names:
            processes.start(paths, name, everything[name].argv)

    def await_health(*names: str) -> None:
        _await(paths, api, {name: everything[name] for name in names})

    with ThreadPoolExecutor(1) as pool:
        say("starting containerd, etcd and the API server")
        launch("containerd", "etcd", "kube-apiserver")
        busybox = find_program("busybox") or Path("busybox")
        archive = images.build(busybox, built, folder)
        await_health("containerd")
        imported = pool.submit(_load, paths, archive)
        await_health("etcd", "kube-apiserver")
        say("starting the controller manager, the scheduler, the kubelet and kube-proxy")
        names = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        launch(*names)
        _apply(paths, folder / "kubectl")
        await_health(*names)
        imported.result()
    say("waiting for the node and the add-ons")
    complaint = wait_until(lambda: health.first(lambda: health.objects(api, health.OBJECTS)), ADDON_SECONDS, 0.3)
    if complaint:
        raise ClusterError(_not_ready(paths, folder / "kubectl", complaint))


def _load(paths: Paths, archive: Path) -> None:
    last = wait_until(lambda: _attempt(paths, archive), 30.0, 0.5)
    if last:
        raise ClusterError(f"the images could not be imported: {last}")
    say("imported the images")


def _attempt(paths: Paths, archive: Path) -> str:
    """containerd's socket accepts connections a moment before its services answer."""
    try:
        images.load(paths, archive)
    except ClusterError as error:
        return str(error)
    return ""


def _await(paths: Paths, api: health.Api, wanted: Mapping[str, Daemon]) -> None:
    recorded = processes.recorded(paths)
    for name, program in wanted.items():

        def probe(name: str = name, program: Daemon = program) -> str:
            complaint = health.daemon(paths, api, name, program, recorded.get(name))
            if complaint == "not running":  # it will not come back: do not wait
                raise ClusterError(f"{name} stopped; the end of its log:\n{tail_of(paths.logs / f'{name}.log')}")
            return complaint

        complaint = wait_until(probe, START_SECONDS)
        if complaint:
            log = paths.logs / f"{name}.log"
            raise ClusterError(
                f"{name} is not healthy after {START_SECONDS:.0f} s ({complaint}); the end of {log}:\n{tail_of(log)}"
            )


def _apply(paths: Paths, kubectl: Path) -> None:
    """Send the add-ons; tried again while the API server still sets up its own namespaces."""
    text = configs.addons(paths.pki)
    command: list[str | Path] = [
        kubectl,
        f"--kubeconfig={paths.kubeconfig}",
        "apply",
        "--server-side",
        "--force-conflicts",
        "-f",
        "-",
    ]

    def attempt() -> str:
        done = run(command, text=text, check=False)
        return "" if done.returncode == 0 else done.stderr

    complaint = wait_until(attempt, 30.0, 0.5)
    if complaint:
        raise ClusterError(f"the add-ons could not be applied:\n{complaint}")


def _not_ready(paths: Paths, kubectl: Path, complaint: str) -> str:
    """The failure of a wait with what a person would look at next."""
    commands: Sequence[tuple[str, ...]] = (
        ("get", "pods", "-n", "kube-system", "-o", "wide"),
        ("logs", "-n", "kube-system", "deployment/metrics-server", "--tail=5"),
        ("logs", "-n", "kube-system", "deployment/coredns", "--tail=5"),
        ("get", "events", "-n", "kube-system", "--sort-by=.lastTimestamp", "--field-selector=type=Warning"),
    )
    parts = [f"not ready after {ADDON_SECONDS:.0f} s: {complaint}"]
    for words in commands:
        done = run([kubectl, f"--kubeconfig={paths.kubeconfig}", *words], check=False, timeout=20)
        parts.append(f"  kubectl {' '.join(words)}:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-8:]))
    parts.append(f"  the end of the kubelet's log:\n{tail_of(paths.logs / 'kubelet.log', 5)}")
    return "\n".join(parts)
