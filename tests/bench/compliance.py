# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.compliance``: how long the playbook takes for 1,000 records of which 200 have signed approvals, offline.

``signed_corpus`` is the corpus of tests/bench/corpus.py with plans that are sealed, and with real signatures by one key. The limit is 5 s for the
whole command. Options: ``--count``, ``--signed``, ``--runs``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.__main__ import Row, table
from tests.bench.corpus import EXAMPLE, FEATURE, ROOT, chained, record

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, phr, signature
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical, digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import shown

PRINCIPAL = "bob@example.com"
LIMIT = "5.0"


def make_key(directory: Path) -> Path:
    """A new key in a directory, and the file allowed_signers beside it."""
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", PRINCIPAL, "-f", str(key)], check=True)
    (directory / "allowed_signers").write_text(
        f'{PRINCIPAL} namespaces="{signature.NAMESPACE}" {key.with_suffix(".pub").read_text()}', encoding="utf-8"
    )
    return key


def signed_corpus(directory: Path, count: int, signed: int, key: Path, *, cluster: str = "") -> Path:
    """Write ``count`` records with PHRs, and spread ``signed`` signed approvals over them. ``cluster``: another uid of it. Returns their folder."""
    folder = directory / FEATURE
    folder.mkdir(parents=True)
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    drafts = [_sealed(record(lines, number, None), number, cluster) for number in range(1, count + 1)]
    approved = [number for number, events in enumerate(drafts) if len(events) > 1]
    chosen = [approved[position * len(approved) // signed] for position in range(min(signed, len(approved)))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: _sign(drafts[number], key), chosen))
    previous: dict[str, str] | None = None
    for events in drafts:
        events[0]["payload"]["previous_record"] = previous
        done = [json.loads(canonical(one)) for one in chained(events)]  # as they are read: a PHR depends on the order of keys
        identifier = done[0]["payload"]["id"]
        previous = {"id": identifier, "head": done[-1]["hash"]}
        (folder / f"{identifier}.jsonl").write_bytes(b"".join(canonical(one) + b"\n" for one in done))
        (folder / phr.file_name(done)).write_text(phr.render(done), encoding="utf-8")
    return folder


def _sealed(events: list[dict[str, Any]], number: int, cluster: str) -> list[dict[str, Any]]:
    """The same record with a plan as this version writes it, on an object of its own, and with its digest wherever it is named."""
    first = events[0]
    payload, old = first["payload"], first["payload"]["digest"]
    plan = json.loads(json.dumps(payload["plan"]).replace(payload["plan"]["changes"][0]["object"]["uid"], f"uid-{number}"))
    if cluster:
        plan["cluster"]["uid"] = payload["cluster"]["uid"] = cluster
    plan["policy"] = DEFAULTS[plan["risk"]]
    plan["requested_by"] = {name: first["actor"][name] for name in ("user", "uid", "host", "established_by")}
    plan["shown"] = shown(payload)
    payload |= {"plan": plan, "digest": digest(plan)}
    if len(events) == 1:  # one that waits, and not for long
        _now(first, plan)
        payload |= {"digest": digest(plan)}
    rest = [json.loads(json.dumps(one).replace(old, payload["digest"])) for one in events[1:]]
    for one in rest:  # a signature of the example is over another plan
        for by in (one["payload"].get("by"), one["payload"].get("approved_by")):
            (by or {}).pop("signature", None)
    return [first, *rest]


def _now(first: dict[str, Any], plan: dict[str, Any]) -> None:
    moment = clock.now()
    plan |= {"created": clock.stamp(moment), "expires": clock.later(clock.stamp(moment), minutes=plan["policy"]["plan_minutes"])}
    first["time"] = plan["created"]


def _sign(events: list[dict[str, Any]], key: Path) -> None:
    """Give the approval a signature."""
    approved = next(one for one in events if one["kind"] == "approved")
    payload, first = approved["payload"], events[0]["payload"]
    statement = signature.statement(first["plan"], first["digest"], "approve", payload["reason"], approved["time"])
    armored = signature.sign(statement, str(key))
    said = {
        "principal": PRINCIPAL,
        "key": "SHA256:as-ssh-keygen-says",
        "established_by": "ssh_signature",
        "statement": statement.decode(),
        "armored": armored,
    }
    payload["by"] = {**payload["by"], "signature": said}
    next(one for one in events if one["kind"] == "executing")["payload"]["approved_by"] = payload["by"]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=1000)
    arguments.add_argument("--signed", type=int, default=200)
    arguments.add_argument("--runs", type=int, default=3)
    wanted = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = make_key(folder)
        signed_corpus(folder / "records", wanted.count, wanted.signed, key)
        (folder / "records" / "allowed_signers").write_bytes((folder / "allowed_signers").read_bytes())
        options = {"records_dir": folder / "records", "cluster": "off", "result_file": folder / "report.json", "junit_file": folder / "report.xml"}
        command = ["ansible-playbook", "aiops.k8s.compliance", *(part for one in options.items() for part in ("-e", f"{one[0]}={one[1]}"))]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "dev"), "ANSIBLE_LOCALHOST_WARNING": "false"}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        whole, busy, inside = [], list[float](), []
        before = os.times().children_user + os.times().children_system
        for _run in range(wanted.runs):
            started = time.perf_counter()
            done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            whole.append(time.perf_counter() - started)
            now = os.times()
            busy.append(now.children_user + now.children_system - sum(busy) - before)
            if done.returncode:
                print(done.stdout, file=sys.stderr)
                return 1
            inside.append(float(json.loads((folder / "report.json").read_text(encoding="utf-8"))["duration_seconds"]))
        print(done.stdout)
    print(
        table(
            [
                Row(f"compliance, {wanted.count} records, {wanted.signed} signed", LIMIT, whole),
                Row("  of which in the action", "-", inside),
                Row("  processor time, all processes", "-", busy),
            ]
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
