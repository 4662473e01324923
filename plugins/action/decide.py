# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Turns an answer, a decision or a signed approval file into the approval or rejection event."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import cluster_identity, who_am_i
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate, identity, signature
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules, governing
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Record
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, RECORD
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, person_present, say


@dataclass(frozen=True)
class Decision:
    """What was decided, and by which way it came. ``signed``: the statement and its signature, where it came signed."""

    decision: str
    prefix: str
    reason: str
    way: str
    signed: tuple[bytes, str] | None = None


_HIMSELF: dict[str, Any] = {"impersonate_user": None, "impersonate_groups": None}  # an approver is not who they may act as


class ActionModule(Action):
    SPEC = {
        **CONNECTION,
        **RECORD,
        "answer": {"type": "str"},
        "decision": {"type": "str", "choices": list(gate.DECISIONS)},
        "approval_file": {"type": "path"},
        "digest": {"type": "str", "default": ""},
        "reason": {"type": "str", "default": ""},
        "signing_key": {"type": "path"},
        "statement_file": {"type": "path"},
    }
    REQUIRE = {
        "required_one_of": [("answer", "decision", "approval_file")],
        "mutually_exclusive": [("answer", "decision", "approval_file"), ("approval_file", "signing_key"), ("statement_file", "signing_key")],
        "required_by": {"statement_file": "decision"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        record = store.load(options["record"])
        governed_by = governing(store)
        taken = self._taken(options, record)
        if taken is None:
            return {"state": record.state, "decided": False}
        now = clock.now()
        plan = gate.require_open(record, taken.decision, taken.prefix, taken.reason, now)
        data = signature.statement(plan, record.digest, taken.decision, taken.reason, clock.stamp(now))
        if options["statement_file"]:
            _write_statement(options["statement_file"], data)
            return {"state": record.state, "decided": False}
        if self.check_mode:
            return {"state": record.state, "decided": False}
        signed = (data, signature.sign(data, options["signing_key"])) if options["signing_key"] else taken.signed
        by = {**identity.os_user(), **self._cluster_user(options, plan, governed_by), **_signed_by(signed, governed_by, plan, record)}
        gate.decide(store, record, taken.decision, taken.prefix, taken.reason, taken.way, by, now, governed_by)
        return {"state": record.state, "decided": True}

    def _taken(self, options: dict[str, Any], record: Record) -> Decision | None:
        """The decision; None, said aloud, for an answer that is none."""
        if options["approval_file"]:
            data, armored = signature.load(options["approval_file"])
            found = signature.read(data, gate.require_plan(record), record.digest, f"approval_file {options['approval_file']}")
            return Decision(found["decision"], found["digest"], found["reason"], "file", (data, armored))
        if options["answer"] is not None:
            # an answer counts only where somebody could type it: variables can be given with -e
            parsed = gate.parse_answer(options["answer"]) if person_present(self.task_vars) else None
            if parsed is None or (parsed[0] == "approve" and not record.digest.startswith(parsed[1])):
                text = f"Record {record.identifier} stays proposed: the answer was neither 'approve {record.digest[:8]}' nor 'reject REASON'."
                say([(text, "yellow")])
                return None
            approve = parsed[0] == "approve"
            return Decision(parsed[0], parsed[1] if approve else record.digest, "" if approve else parsed[1], "terminal")
        reason = options["reason"]
        if reason and self.task_vars.get("_raw_params"):
            raise BadInput(
                f"reason is {reason!r}, and {self.task_vars['_raw_params']!r} was cut off: -e splits at spaces.",
                "Write -e \"reason='two words'\".",
            )
        return Decision(options["decision"], options["digest"], reason, "playbook")

    def _cluster_user(self, options: dict[str, Any], plan: dict[str, Any], governed_by: Rules) -> dict[str, Any]:
        """Who the API server takes the approver for; nothing, said aloud, where the approver has no way to the cluster."""
        try:
            api = connect({**options, **_HIMSELF}, {name: value for name, value in os.environ.items() if not name.startswith("K8S_AUTH_IMPERSONATE")})
            found = who_am_i(api)
        except AiopsError as error:
            self._display.warning(f"The cluster does not say who approves: {error.message} The operating system's user is recorded.")
            return {}
        if any(one["proof"] == "cluster_user" for one in governed_by.of(plan)):
            gate.require_cluster(plan, cluster_identity(api))  # an identity of another cluster proves nothing here
        gate.require_clock(api.clock_skew)
        return {"cluster_user": {**found, "established_by": "SelfSubjectReview"}}


def _signed_by(signed: tuple[bytes, str] | None, governed_by: Rules, plan: dict[str, Any], record: Record) -> dict[str, Any]:
    if signed is None:
        return {}
    data, armored = signed
    found = signature.read(data, plan, record.digest, "The signed statement")
    signer = signature.verify(data, armored, governed_by, clock.parse(found["time"]))
    return {"signature": {**signer, "established_by": "ssh_signature", "statement": data.decode(), "armored": armored}}


def _write_statement(path: str, data: bytes) -> None:
    output.write("statement_file", path, data)
    say(
        [
            (f"The statement is in {nearest(path)}. Nothing is decided yet. Sign it, and hand in both files:", "bright cyan"),
            (f"  {signature.command(os.path.abspath(path))}", ""),
        ]
    )
