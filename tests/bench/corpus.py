# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Many realistic records for measurements: ``corpus(directory, count)`` writes them below ``directory/FEATURE``.

Each record is the documented example with another workload, other times and therefore another digest and other hashes. It holds 8
events and 18 KB: the example's own, two notes, and an AI opinion with its prompt, which is what makes real records large. Every
chain, every digest and every ``previous_record`` is right. A tenth of the records still waits for a decision (1 event).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / ".build" / "dev"))

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, phr  # noqa: E402
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical, digest  # noqa: E402

FEATURE = "004-phase-iv-aiops"
EXAMPLE = ROOT / "docs" / "examples" / "records" / FEATURE / "0001.jsonl"
WORKLOADS = ("web", "cart", "search", "billing", "mailer", "reports", "queue", "gateway", "inventory", "profile")
NAMESPACES = ("shop", "staging", "data", "intranet")
_STAMP = re.compile(r"2026-11-[0-9]{2}T[0-9:.]+Z")
_EVERY = 10  # one record of so many is only proposed
_PROMPT_LINES = 110


def corpus(directory: str | os.PathLike[str], count: int, *, documents: bool = False) -> Path:
    """Write ``count`` records, with their PHRs when ``documents``. Returns the feature's directory, which must not hold records yet."""
    folder = Path(directory) / FEATURE
    folder.mkdir(parents=True)
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    previous: dict[str, str] | None = None
    for number in range(1, count + 1):
        events = record(lines, number, previous)
        previous = {"id": f"{number:04d}", "head": events[-1]["hash"]}
        (folder / f"{number:04d}.jsonl").write_bytes(b"".join(canonical(one) + b"\n" for one in events))
        if documents:
            (folder / phr.file_name(events)).write_text(phr.render(events), encoding="utf-8")
    return folder


def record(lines: list[str], number: int, previous: dict[str, str] | None) -> list[dict[str, Any]]:
    """The events of one record; ``lines`` is the example."""
    workload, namespace = f"{WORKLOADS[number % len(WORKLOADS)]}-{number}", NAMESPACES[number % len(NAMESPACES)]
    offset = -(10_000 - number) * 13.0  # minutes: the newest are the latest
    text = "\n".join(lines).replace("docs-shop", namespace).replace("cache", workload).replace("-wqpb2", f"-{number:05d}")
    text = _STAMP.sub(lambda match: _moved(match.group(), offset), text)
    proposed, *rest = [json.loads(line) for line in text.splitlines()]
    payload = proposed["payload"]
    old = payload["digest"]
    payload |= {"id": f"{number:04d}", "previous_record": previous, "digest": digest(payload["plan"]), "opinions": [opinion(workload, namespace)]}
    approved, executing, *later = [json.loads(json.dumps(one).replace(old, payload["digest"])) for one in rest]
    refused = {**approved, "kind": "refused", "payload": {"reason": "the dry run of C1 failed: the server did not answer"}}
    resumed = {**executing, "kind": "resumed", "payload": {"reason": "the run that carried it out was killed"}}
    whole = [proposed] if number % _EVERY == 0 else [proposed, approved, {**refused, "time": executing["time"]}, executing, resumed, *later]
    return chained(whole)


def chained(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same events with the right seq, previous and hash."""
    done: list[dict[str, Any]] = []
    for position, one in enumerate(events, start=1):
        body = {key: value for key, value in one.items() if key != "hash"}
        body |= {"seq": position, "previous": done[-1]["hash"] if done else ""}
        done.append({**body, "hash": digest(body)})
    return done


def opinion(workload: str, namespace: str) -> dict[str, Any]:
    """What kubectl-ai is asked and answers, at its usual size."""
    log = [f"12:5{line % 10}:00 {workload} worker {line}: allocated {line * 7 % 97} MiB for request {line * 7919}" for line in range(_PROMPT_LINES)]
    prompt = f"Namespace {namespace}, deployment {workload}. Say which finding names the cause.\n" + "\n".join(f"| {line}" for line in log)
    return {
        "question": "0",
        "engine": "kubectl-ai",
        "engine_version": "0.0.29",
        "provider": "openai",
        "model": "scripted",
        "outcome": "answered",
        "reason": "",
        "remarks": [],
        "agrees": True,
        "root_cause": "The container is killed at its limit; the log shows growing allocations per request.",
        "code": "OOMKilled",
        "remedy": "R1",
        "evidence": ["E1", "E2"],
        "confidence": 0.9,
        "note": "",
        "commands": [],
        "identity": "none",
        "duration_seconds": 4.213,
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest(),
        "prompt": prompt,
        "tokens": {"prompt": 3120, "completion": 214},
    }


def _moved(stamp: str, minutes: float) -> str:
    moved = clock.later(stamp, minutes=minutes)
    return moved if "." in stamp else moved[:-5] + "Z"
