# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Go programs of the built-in cluster: which versions, where they are cached, and how they are built once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .console import ClusterError, elapsed, find_program, say, tail
from .settings import HERE, Paths, architecture

MODULE = HERE / "components"  # the Go module that holds the Kubernetes version
REPORT_SECONDS = 15.0


@dataclass(frozen=True)
class Program:
    """One program: its Go package, whose version it carries, and minutes of a first build on two cores."""

    package: str
    module: str  # the Go module whose version is the program's
    minutes: float
    version: str = ""  # set: installed at this version; empty: built in MODULE at the version of its go.mod
    stamp: str = ""  # the variable that tells the program its own version
    links: tuple[str, ...] = ()  # further names of the same program


BINARIES: dict[str, Program] = {
    "kubecluster": Program(
        "./cmd/kubecluster",
        "k8s.io/kubernetes",
        6,
        links=("kubectl", "kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
    ),
    "coredns": Program("./cmd/coredns", "github.com/coredns/coredns", 2),
    "metrics-server": Program(
        "sigs.k8s.io/metrics-server/cmd/metrics-server", "sigs.k8s.io/metrics-server", 3, version="v0.9.0"
    ),
    "helm": Program("helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", 1, stamp="helm.sh/helm/v3/internal/version.version"),
    "kwok": Program("sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", 2.5, version="v0.8.0"),
}
NEEDED = ("kubecluster", "coredns", "metrics-server")  # by `up`
KUBERNETES = "k8s.io/kubernetes"


def module_version(go_mod: str, module: str) -> str:
    """The version of `module` that the text of a go.mod requires.

    Raises ClusterError when it requires none.
    """
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise ClusterError(f"{MODULE / 'go.mod'} does not require {module}")
    return match.group(1)


def versions(go_mod: str | None = None) -> dict[str, str]:
    """Program -> version, in the order of BINARIES."""
    text = (MODULE / "go.mod").read_text() if go_mod is None else go_mod
    return {name: program.version or module_version(text, program.module) for name, program in BINARIES.items()}


def linker_flags(name: str, known: Mapping[str, str]) -> str:
    """-ldflags of a program: no symbols, and the version that it is to report. `known` is what versions() returns."""
    kubernetes = known["kubecluster"]
    major, minor = kubernetes.lstrip("v").split(".")[:2]
    stamps = {
        "k8s.io/component-base/version.gitVersion": kubernetes,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/component-base/version.gitTreeState": "clean",
    }
    if BINARIES[name].stamp:
        stamps[BINARIES[name].stamp] = known[name]
    own = {} if BINARIES[name].version else stamps
    return " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in own.items())])


def fingerprint(sources: Iterable[tuple[str, bytes]], settings: Sequence[str]) -> str:
    """12 hex digits over named file contents, in any order, and settings, in theirs."""
    digest = hashlib.sha256()
    for name, content in sorted(sources):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    for setting in settings:
        digest.update(f"{setting}\0".encode())
    return digest.hexdigest()[:12]


def sources() -> list[tuple[str, bytes]]:
    """The files that decide what is built."""
    files = [MODULE / "go.mod", MODULE / "go.sum", *sorted((MODULE / "cmd").rglob("*.go"))]
    return [(str(path.relative_to(MODULE)), path.read_bytes()) for path in files]


def key() -> str:
    """Names this exact set of programs: the Kubernetes version for people, a fingerprint for machines."""
    known = versions()
    settings = [f"{name} {known[name]} {linker_flags(name, known)}" for name in BINARIES]
    return f"{known['kubecluster']}-{fingerprint(sources(), [architecture(), *settings])}"


def folder(paths: Paths) -> Path:
    """Where the programs of this checkout's key are cached."""
    return paths.cache / "bin" / key()


def ensure(paths: Paths, names: Sequence[str]) -> dict[str, Path]:
    """Build what is missing of `names`; returns program -> path. Two calls at once wait for each other.

    Raises ClusterError when Go is missing, a name is unknown or a build fails.
    """
    unknown = sorted(set(names) - set(BINARIES))
    if unknown:
        raise ClusterError(f"no such program: {', '.join(unknown)}; there are {', '.join(BINARIES)}")
    target = folder(paths)
    target.mkdir(parents=True, exist_ok=True)
    if not all((target / name).exists() for name in names):
        with _locked(target / ".lock"):
            missing = [name for name in names if not (target / name).exists()]
            for name in missing:
                _build(name, target)
    for name in names:
        for link in BINARIES[name].links:
            _link(target / link, name)
    return {name: target / name for name in names}


def _link(path: Path, to: str) -> None:
    if not path.is_symlink():
        try:
            path.symlink_to(to)
        except FileExistsError:  # another `up` was quicker
            pass


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build of the same programs")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def build_command(name: str, output: Path, known: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The Go command line that leaves program `name` in folder `output`, and the variables it needs besides."""
    program = BINARIES[name]
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", linker_flags(name, known)]
    settings = {"CGO_ENABLED": "0"}
    if program.version:
        return ["go", "install", *flags, f"{program.package}@{program.version}"], {**settings, "GOBIN": str(output)}
    return ["go", "build", *flags, "-o", str(output / name), program.package], settings


def _build(name: str, target: Path) -> None:
    if find_program("go") is None:
        raise ClusterError(
            f"Go is needed to build {name} and is not on PATH: "
            f"install Go (the version of {MODULE / 'go.mod'} or newer), or give an existing cluster with --kubeconfig"
        )
    known = versions()
    minutes = BINARIES[name].minutes
    say(f"building {name} {known[name]}: about {minutes:g} min the first time, seconds when Go has it cached")
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target) as temporary:
        command, settings = build_command(name, Path(temporary), known)
        log = Path(temporary) / "log"
        with log.open("wb") as stream:
            # a person's settings for cross-compiling are not for us
            env = {key: value for key, value in os.environ.items() if key not in ("GOOS", "GOARCH", "GOBIN")}
            process = subprocess.Popen(
                command, cwd=MODULE, env={**env, **settings}, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
            _watch(process, name)
        if process.returncode != 0:
            raise ClusterError(f"building {name} failed:\n{tail(log.read_text(errors='replace'), 15)}")
        (Path(temporary) / name).replace(target / name)


def _watch(process: subprocess.Popen[bytes], name: str) -> None:
    """Wait for a build, saying now and then that it goes on; a build does not outlive us."""
    started, reported = elapsed(), time.monotonic()
    try:
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                say(f"building {name} ... {elapsed() - started:.0f} s")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    say(f"built {name} in {elapsed() - started:.0f} s")
