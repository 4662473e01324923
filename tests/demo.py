# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``make demo``: a real cluster, two failing workloads, and the whole way from diagnosis to recorded, proven fix.

At a terminal you are the architect and type the approvals; elsewhere, or with AUTO=1, they are typed for you. KEEP=1 leaves
the cluster running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import Cluster, running
from tests.person import play

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "aiops-demo"
RECORDS = ROOT / ".build" / "demo" / "history" / "prompts"
TOOL = [sys.executable, "-m", "tests.cluster"]
OPTIONS = {"target_namespace": NAMESPACE, "records_dir": RECORDS, "hold_seconds": 10, "watch_seconds": 20, "watch": "block"}


def main() -> int:
    started, found = time.monotonic(), running()
    shutil.rmtree(RECORDS, ignore_errors=True)  # each demo begins with record 0001
    subprocess.run([*TOOL, "up"], cwd=ROOT, check=True)
    cluster = running()
    assert cluster is not None
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "PATH": f"{cluster.bin_dir}:{os.environ['PATH']}" if cluster.bin_dir else os.environ["PATH"],
    }
    try:
        break_workloads(cluster, environment)
        status = diagnose(environment)
        show("The records", ["ansible-playbook", "aiops.k8s.records", "-e", f"records_dir={RECORDS}"], environment)
        print(f"\nThe Prompt History Records are in {RECORDS.relative_to(ROOT)}; the demo took {time.monotonic() - started:.0f} s.")
        return status
    finally:
        subprocess.run(
            [cluster.kubectl, "delete", "namespace", NAMESPACE, "--wait=false"], env=environment, check=False, stdout=subprocess.DEVNULL
        )
        if found is None and not os.environ.get("KEEP"):
            subprocess.run([*TOOL, "down"], cwd=ROOT, check=True)


def break_workloads(cluster: Cluster, environment: dict[str, str], namespace: str = NAMESPACE) -> None:
    """One Deployment that is OOMKilled from the start, and one whose newest revision crashes beside two healthy pods."""
    say("Two workloads: cache needs more memory than its limit; web is fine, until a release forgets its configuration")
    kubectl = [str(cluster.kubectl), "-n", namespace]
    manifest = (ROOT / "tests" / "demo.yml.in").read_text(encoding="utf-8").replace("IMAGE", cluster.image).replace("aiops-demo", namespace)
    subprocess.run([*kubectl, "delete", "namespace", namespace, "--ignore-not-found"], env=environment, check=True)
    subprocess.run([*kubectl, "apply", "-f", "-"], input=manifest, text=True, env=environment, check=True)
    subprocess.run([*kubectl, "rollout", "status", "deployment/web", "--timeout=120s"], env=environment, check=True)
    release = (
        '[{"op":"replace","path":"/spec/template/spec/containers/0/command/2","value":"echo starting release 2; echo \'Error: DATABASE_URL'
        " is required' >&2; exit 1\"}]"
    )
    subprocess.run([*kubectl, "patch", "deployment", "web", "--type=json", "-p", release], env=environment, check=True)
    wanted = {"cache": "OOMKilled", "web": "Error"}
    path = "{range .items[*]}{.metadata.labels.app}={.status.containerStatuses[0].lastState.terminated.reason} {end}"
    for _second in range(120):
        seen = subprocess.run(
            [*kubectl, "get", "pods", "-o", f"jsonpath={path}"], env=environment, check=True, capture_output=True, text=True
        ).stdout
        if all(f"{name}={reason}" in seen.split() for name, reason in wanted.items()):
            break
        time.sleep(1)
    subprocess.run([*kubectl, "get", "pods"], env=environment, check=True)


def diagnose(environment: dict[str, str]) -> int:
    command = ["ansible-playbook", "aiops.k8s.diagnose", *(part for name, value in OPTIONS.items() for part in ("-e", f"{name}={value}"))]
    say(" ".join(["ansible-playbook aiops.k8s.diagnose -e namespace=" + NAMESPACE, "..."]))
    if sys.stdin.isatty() and not os.environ.get("AUTO"):
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    print("(no terminal: the approvals are typed for you, as a person would type them)")
    status, _shown = play(command, ["approve"], environment=environment, echo=sys.stdout)
    return status


def show(title: str, command: list[str], environment: dict[str, str]) -> None:
    say(title)
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
