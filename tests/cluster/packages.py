# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the built-in cluster takes from the operating system, and its installation where apt-get is at hand."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .console import ClusterError, find_program, run, say, tail
from .settings import architecture

OTHERS = (
    "use another provider instead: an existing cluster (--kubeconfig PATH or AIOPS_TEST_KUBECONFIG), "
    "or kind with a running Docker"
)

# package -> the programs that show that it is there, however it was installed
PACKAGES: dict[str, tuple[str, ...]] = {
    "containerd": ("containerd", "ctr", "containerd-shim-runc-v2"),
    "runc": ("runc",),
    "containernetworking-plugins": (),  # not on PATH: see cni_folder
    "busybox-static": ("busybox",),
    "etcd-server": ("etcd",),
    "iproute2": ("ip",),
    "iptables": ("iptables", "iptables-save", "iptables-restore", "ip6tables-save"),
}
SERVICES = {"containerd": "containerd.service", "etcd-server": "etcd.service"}  # that the packages enable by themselves

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")

POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it before starting the service of a new package
POLICY_TEXT = "#!/bin/sh\n# temporary, by aiops.k8s tests/cluster: no service starts by being installed\nexit 101\n"
LISTS = Path("/var/lib/apt/lists")


def unsupported() -> str:
    """Why the built-in cluster cannot run on this machine, or "" when nothing speaks against it."""
    if platform.system() != "Linux":
        return f"it needs Linux, this is {platform.system()}"
    if not architecture():
        return f"it is built for x86_64 and aarch64, this is {platform.machine()}"
    if os.geteuid() != 0:
        return "it needs root (network namespaces, mounts, iptables)"
    return ""


def cni_folder() -> Path | None:
    """The folder that holds all network plugins that we use, or None."""
    whole = (folder for folder in CNI_FOLDERS if all((folder / plugin).exists() for plugin in CNI_PLUGINS))
    return next(whole, None)


def missing(find: Callable[[str], Path | None] = find_program, cni: Path | None = None) -> list[str]:
    """The packages of which a program is not installed."""
    absent = [package for package, programs in PACKAGES.items() if not all(find(name) for name in programs)]
    if (cni or cni_folder()) is None:
        absent.append("containernetworking-plugins")
    return absent


def ensure() -> None:
    """Install what is missing.

    Raises ClusterError when the machine cannot run the built-in cluster or a package cannot be installed.
    """
    reason = unsupported()
    if reason:
        raise ClusterError(f"the built-in cluster cannot run here: {reason}; {OTHERS}")
    absent = missing()
    if not absent:
        return
    if find_program("apt-get") is None:
        raise ClusterError(
            f"the built-in cluster needs what Debian packages as {', '.join(absent)}, and this system has no apt-get: "
            f"install them by hand, or {OTHERS}"
        )
    say(f"installing {', '.join(absent)} (apt-get)")
    with _no_services():
        _install(absent)
    _disable([SERVICES[package] for package in absent if package in SERVICES])
    left = missing()
    if left:
        raise ClusterError(f"apt-get installed them, but programs of {', '.join(left)} are still not found; {OTHERS}")


def _install(names: Sequence[str]) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", *names]
    if any(LISTS.glob("*_Packages*")):
        if run(command, env=env, timeout=900, check=False).returncode == 0:
            return
    say("refreshing the package lists (apt-get update)")
    run(["apt-get", "update"], env=env, timeout=600, check=False)  # one dead source must not stop the others
    done = run(command, env=env, timeout=900, check=False)
    if done.returncode != 0:
        raise ClusterError(f"apt-get could not install {', '.join(names)}:\n{tail(done.stderr)}\n{OTHERS}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep new packages from starting their services. A policy that the machine already has is left in force."""
    remove_policy()
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            remove_policy()


def has_policy() -> bool:
    """Whether a policy of ours is in force, as left by an installation that was killed."""
    return POLICY.is_file() and POLICY.read_text(errors="replace") == POLICY_TEXT


def remove_policy() -> None:
    """Remove our policy; that of the machine stays."""
    if has_policy():
        POLICY.unlink()


def _disable(services: Sequence[str]) -> None:
    """Keep services that came with our packages from starting at the next boot either."""
    if services and Path("/run/systemd/system").is_dir():
        run(["systemctl", "disable", *services], check=False)
