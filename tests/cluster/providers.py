# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a cluster can come from, in order: one that is given, kind, the built-in one; and why each is passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import binaries, builtin, model
from .console import ClusterError, find_program, run, say, write_private
from .settings import ENV_KUBECONFIG, PULLED_IMAGE, Paths

AUTO = "auto"
ORDER = (model.GIVEN, model.KIND, model.BUILTIN)
KIND_CLUSTER = "aiops-k8s"


@dataclass(frozen=True)
class Wish:
    """What the caller asked for: a provider or "auto", and a kubeconfig or ""."""

    provider: str = AUTO
    kubeconfig: str = ""


def wish(provider: str, kubeconfig: str, environment: Mapping[str, str] | None = None) -> Wish:
    """The wish from the options, with the environment's kubeconfig when no option names one."""
    env = os.environ if environment is None else environment
    return Wish(provider, kubeconfig or env.get(ENV_KUBECONFIG, ""))


def passed_over(wanted: Wish, docker: Callable[[], str], kind: Callable[[], bool]) -> dict[str, str]:
    """Provider -> why it is not even tried, "" when it is to be tried.

    `docker` returns why Docker does not answer ("" when it does), `kind` whether the program is there; both are asked
    only when it matters.
    """
    reasons = dict.fromkeys(ORDER, "")
    if wanted.provider != AUTO:
        asked = f"--provider {wanted.provider} was asked for"
        reasons.update({name: asked for name in ORDER if name != wanted.provider})
    elif wanted.kubeconfig:
        reasons.update({name: "a kubeconfig was given" for name in ORDER if name != model.GIVEN})
    if not reasons[model.GIVEN] and not wanted.kubeconfig:
        reasons[model.GIVEN] = f"neither --kubeconfig nor {ENV_KUBECONFIG} is set"
    if not reasons[model.KIND]:
        reasons[model.KIND] = "kind is not on PATH" if not kind() else docker()
    return reasons


def docker_complaint() -> str:
    """Why Docker does not answer, "" when it does."""
    if find_program("docker") is None:
        return "docker is not on PATH"
    try:
        done = run(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=15, check=False)
    except ClusterError as error:
        return str(error)
    return "" if done.returncode == 0 else f"Docker does not answer: {last_line(done.stderr)}"


def last_line(text: str) -> str:
    """The last line that says something, shortened."""
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "no output")


def up(paths: Paths, wanted: Wish) -> model.Cluster:
    """Bring up the first provider that works, saying why the others were passed over.

    Raises ClusterError when none does.
    """
    reasons = passed_over(wanted, docker_complaint, lambda: find_program("kind") is not None)
    makers = {model.GIVEN: lambda: _given(paths, wanted.kubeconfig), model.KIND: lambda: _kind(paths)}
    makers[model.BUILTIN] = lambda: builtin.up(paths)
    for name in ORDER:
        if reasons[name]:
            say(f"provider {name}: passed over, {reasons[name]}")
            continue
        say(f"provider {name}: trying")
        try:
            cluster = makers[name]()
        except ClusterError as error:
            if name != model.KIND or wanted.provider != AUTO:
                raise
            say(f"provider {name}: failed, going on: {error}")
            continue
        model.claim(paths)
        model.save(paths, cluster)
        return cluster
    raise ClusterError("no provider is left: " + "; ".join(f"{name}: {why}" for name, why in reasons.items() if why))


def _kubectl(paths: Paths) -> Path:
    """The kubectl of the machine, or else the one that we build."""
    return find_program("kubectl") or binaries.ensure(paths, ["kubecluster"])["kubecluster"].with_name("kubectl")


def _external(paths: Paths, provider: str, kubeconfig: str, kubectl: Path) -> model.Cluster:
    """A cluster that others run: tests get our own flattened copy of its kubeconfig.

    Raises ClusterError when it does not answer.
    """
    base: list[str | Path] = [kubectl, f"--kubeconfig={kubeconfig}"]
    run([*base, "get", "--raw=/readyz", "--request-timeout=15s"], timeout=30)
    flat = run([*base, "config", "view", "--raw", "--flatten", "--minify"]).stdout
    model.claim(paths)
    copy = paths.state / f"{provider}.kubeconfig"
    write_private(copy, flat)
    return model.Cluster(
        provider=provider,
        kubeconfig=str(copy),
        kubectl=str(kubectl),
        image=PULLED_IMAGE,
        audit_log="",
        bin_dir="",
        node_address="",
        state_dir=str(paths.state),
        owner=model.owner(),
        started=model.now(),
    )


def _given(paths: Paths, kubeconfig: str) -> model.Cluster:
    source = Path(kubeconfig).expanduser().absolute()
    if not source.is_file():
        raise ClusterError(f"there is no kubeconfig at {source}")
    return _external(paths, model.GIVEN, str(source), _kubectl(paths))


def kind_exists() -> bool:
    """Whether our kind cluster is there."""
    if find_program("kind") is None:
        return False
    return KIND_CLUSTER in run(["kind", "get", "clusters"], check=False).stdout.split()


def _kind(paths: Paths) -> model.Cluster:
    model.claim(paths)
    exported = paths.state / "kind.exported"
    options = ["--name", KIND_CLUSTER, "--kubeconfig", str(exported)]
    if kind_exists():
        say(f"using the kind cluster {KIND_CLUSTER} that is there already")
        run(["kind", "export", "kubeconfig", *options])
    else:
        done = run(["kind", "create", "cluster", *options, "--wait", "120s"], timeout=600, check=False)
        if done.returncode != 0:
            raise ClusterError(f"kind could not create a cluster: {last_line(done.stderr)}")
    return _external(paths, model.KIND, str(exported), _kubectl(paths))


def kind_down() -> bool:
    """Delete our kind cluster; returns whether there was one."""
    if not kind_exists():
        return False
    run(["kind", "delete", "cluster", "--name", KIND_CLUSTER], timeout=300)
    return True
