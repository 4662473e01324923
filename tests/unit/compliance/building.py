# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A store in which everything is right, as plain events, so that each test can make one thing wrong.

``healthy`` gives the drafts of all records; ``publish`` numbers, links, hashes and renders whatever they became: what somebody does who may write
every file and knows the library. Times are of today, because deadlines are judged by the clock.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, identity, phr, plan as plans, record as chain, signature
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import shown

from tests.unit.operation import samples

FEATURE = "004-phase-iv-aiops"
BOB = {"user": "bob", "uid": 4711, "host": "ops-1", "established_by": "os_user", "groups": ["ops"]}
PRINCIPAL = "carol@example.com"
Draft = list[dict[str, Any]]  # events without seq, previous and hash
Drafts = list[Draft]
Change = Callable[[Drafts], Any]

ENDED, ADVICE, SIGNED, REJECTED, UNDONE, WAITING, EXPIRED, ROLLBACK, POD = range(9)  # positions in ``healthy``; ids are one more


def make_key(directory: Path, principal: str = PRINCIPAL) -> str:
    """A key, with allowed_signers for it beside it."""
    path = directory / f"key-{principal.partition('@')[0]}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", principal, "-f", str(path)], check=True)
    with open(directory / "allowed_signers", "a", encoding="utf-8") as file:
        file.write(f"{principal} {path.with_suffix('.pub').read_text(encoding='utf-8')}")
    return str(path)


def who() -> dict[str, Any]:
    return chain.actor()


def proposal(name: str, created: datetime, *, generation: int = 3, risk: str = "medium", pod: bool = False, **more: Any) -> dict[str, Any]:
    """A first event's payload about deployment/NAME, or about a pod that is deleted."""
    live = samples.deployment()
    live["metadata"] |= {"name": name, "uid": f"uid-{name}", "generation": generation}
    change = plans.patch_change("C1", live, samples.patched(live, "128Mi"))
    if pod:
        change = plans.delete_change("C1", samples.pod(name), "created again by its owner")
    plan = samples.plan([change], created=created, risk=risk) | {"requested_by": identity.requester("reader"), **more}
    return samples.payload(plan, title=f"OOMKilled in deployment/{name} in namespace shop")


def first(payload: dict[str, Any], created: datetime) -> dict[str, Any]:
    return {"time": clock.stamp(created), "kind": "proposed", "actor": who(), "payload": payload}


def decided(payload: dict[str, Any], moment: datetime, decision: str = "approve", key: str = "", reason: str = "") -> dict[str, Any]:
    """An approval or a rejection by BOB, signed by a key's owner when there is one."""
    stamp = clock.stamp(moment)
    by: dict[str, Any] = dict(BOB)
    if key:
        data = signature.statement(payload["plan"], payload["digest"], decision, reason, stamp)
        by["signature"] = {
            "principal": PRINCIPAL,
            "key": "SHA256:x",
            "established_by": "ssh_signature",
            "statement": data.decode(),
            "armored": signature.sign(data, key),
        }
    body = {"digest": payload["digest"], "reason": reason, "by": by, "way": "playbook"}
    if decision == "reject":
        return {"time": stamp, "kind": "rejected", "actor": who(), "payload": body}
    expires = min(payload["plan"]["expires"], clock.later(stamp, minutes=payload["plan"]["policy"]["approval_minutes"]))
    return {"time": stamp, "kind": "approved", "actor": who(), "payload": {**body, "expires": expires}}


def carried_out(approved: dict[str, Any], moment: datetime, *kinds: str, generation: int = 4) -> Draft:
    """executing, executed and what is named, a few seconds apart."""
    payloads = samples.PAYLOADS | {
        "executing": {
            "digest": approved["payload"]["digest"],
            "approved_by": approved["payload"]["by"],
            "executor": {"user": "deployer", "groups": []},
        },
        "executed": {"changes": [{"id": "C1", "generation": generation}], "recovered": False, "applied": clock.stamp(moment + timedelta(seconds=3))},
        "validated": {**samples.PAYLOADS["validated"], "watch_until": clock.stamp(moment + timedelta(minutes=15))},
    }
    return [
        {"time": clock.stamp(moment + timedelta(seconds=4 * number)), "kind": kind, "actor": who(), "payload": copy.deepcopy(payloads[kind])}
        for number, kind in enumerate(("executing", "executed", *kinds))
    ]


def operation(name: str, created: datetime, *kinds: str, key: str = "", generation: int = 3, **more: Any) -> Draft:
    """A whole operation: approved after ten minutes, carried out a minute later."""
    payload = proposal(name, created, generation=generation, **more)
    approved = decided(payload, created + timedelta(minutes=10), key=key, reason="it fits")
    rest = carried_out(approved, created + timedelta(minutes=11), *(kinds or ("validated", "closed")), generation=generation + 1)
    return [first(payload, created), approved, *rest]


def healthy(key: str) -> Drafts:
    """Records of every kind that ended well, and one that waits."""
    start = clock.now() - timedelta(hours=20)

    def hour(number: float) -> datetime:
        return start + timedelta(hours=number)

    ended = operation("web", hour(0))
    advice = [
        first(samples.payload(), hour(1)),
        {"time": clock.stamp(hour(1.01)), "kind": "closed", "actor": who(), "payload": {"reason": "advice only"}},
    ]
    refused = proposal("mail", hour(3))
    expired = proposal("cart", hour(5))
    waiting = proposal("jobs", clock.now() - timedelta(minutes=5))
    back = operation("web", hour(7), generation=4, workflow="rollback", undoes={"record": f"{FEATURE}/0001", "digest": ended[0]["payload"]["digest"]})
    return [
        ended,
        advice,
        operation("api", hour(2), key=key),
        [first(refused, hour(3)), decided(refused, hour(3.1), "reject", key, "not today")],
        operation("db", hour(4), "failed", "rolling_back", "rolled_back"),
        [first(waiting, clock.now() - timedelta(minutes=5))],
        [
            first(expired, hour(5)),
            decided(expired, hour(5.5)),
            {"time": clock.stamp(hour(7)), "kind": "expired", "actor": who(), "payload": {"reason": "not carried out"}},
        ],
        back,
        operation("web-1", hour(8), pod=True, risk="low"),
    ]


def resealed(draft: Draft, **changes: Any) -> Draft:
    """Another plan in the first event, with the digests that belong to it, everywhere."""
    payload = draft[0]["payload"]
    old = payload["digest"]
    payload["plan"] = {**payload["plan"], **changes, "shown": shown(payload)}
    payload["digest"] = digest(payload["plan"])
    draft[1:] = [json.loads(json.dumps(one).replace(old, payload["digest"])) for one in draft[1:]]
    return draft


def publish(drafts: Drafts, records: Path) -> Path:
    """Write all records with their PHRs, numbered, linked and hashed. Returns the folder of the feature."""
    folder = records / FEATURE
    folder.mkdir(parents=True, exist_ok=True)
    previous = None
    for number, draft in enumerate(drafts, 1):
        identifier = f"{number:04d}"
        events: list[dict[str, Any]] = []
        for one in copy.deepcopy(draft):
            if not events:
                one["payload"] = {"id": identifier, "feature": FEATURE, "previous_record": previous} | one["payload"]
            events.append(json.loads(chain.line(chain.linked(events, one))))
        previous = {"id": identifier, "head": events[-1]["hash"]}
        put(folder, identifier, events)
    return folder


def put(folder: Path, identifier: str, events: Draft) -> None:
    """Write one record and its PHR, where it can be rendered."""
    (folder / f"{identifier}.jsonl").write_bytes(b"".join(chain.line(one) for one in events))
    os.chmod(folder / f"{identifier}.jsonl", 0o644)
    with suppress(KeyError, ValueError):
        (folder / phr.file_name(events)).write_text(phr.render(events), encoding="utf-8")


def load(folder: Path, identifier: str) -> Draft:
    return [json.loads(line) for line in (folder / f"{identifier}.jsonl").read_text(encoding="utf-8").splitlines()]


def strict(**settings: Any) -> dict[str, Any]:
    """The policy of medium operations with other settings."""
    return policy({"medium": settings})["medium"]
