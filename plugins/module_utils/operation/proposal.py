# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The payload of a record's first event: everything that the approver is shown, redacted, with the plan's digest."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation import history
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.identity import requester
from ansible_collections.aiops.k8s.plugins.module_utils.operation.plan import seal, validate
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import attachments

# what the approver is shown beside the plan; the plan names the digest of it
_SHOWN = ("title", "findings", "evidence", "opinions", "remedies", "not_chosen", "coverage")
_NO_CHANGE = {"remedy": "", "fingerprint": ""}
_SHOWN_WHERE_PRESENT = ("earlier", "by_hand", "sections", "attachments")  # keys that came later: plans of earlier records do not name them


def payload(
    proposal: Mapping[str, Any],
    result: Mapping[str, Any],
    opinions: list[dict[str, Any]],
    command: str,
    options: Mapping[str, str],
    policies: Mapping[str, Mapping[str, Any]],
    before: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The first event's payload; the store adds feature, id and the previous record's head.

    options: those that the next commands have to repeat, none of them secret; policies: all classes' policy; before: the history
    of this cluster (history.py). ``proposal`` may carry ``remedy`` (the name of the chosen one), ``fingerprint``, ``basis``, and
    ``sections`` [{label, title, lines[]}]: the workflow's own figures, which the approver is shown, and ``attachments`` [{name, title,
    text, content}]: files beside the record, of which the payload gets the digests; the caller gives the store their contents.
    Raises BadInput for a malformed plan."""
    seen = history.earlier(before, proposal["target"], [finding["code"] for finding in proposal["findings"]])
    document = {
        "workflow": proposal["workflow"],
        "title": redact(proposal["title"])[0],
        "command": redact(command)[0],
        "options": dict(options),
        "target": proposal["target"],
        "cluster": result["cluster"],
        "observed_as": result["user"],
        "findings": [_redacted(finding) for finding in proposal["findings"]],
        "evidence": redact_object(proposal["evidence"]),
        "remedies": redact_object(proposal["remedies"]),
        # a prompt was redacted before it was sent, and its digest is on record beside it
        "opinions": [
            {**redact_object(one), **_differing(one, proposal.get("figures") or {}), **({"prompt": one["prompt"]} if "prompt" in one else {})}
            for one in opinions
        ],
        "no_plan_reason": redact(proposal["no_plan_reason"])[0],
        "not_chosen": redact_object(proposal.get("not_chosen", [])),
        **({"by_hand": [redact(line)[0] for line in proposal["by_hand"]]} if proposal.get("by_hand") else {}),
        **({"sections": redact_object(proposal["sections"])} if proposal.get("sections") else {}),
        **({"attachments": attachments.described(proposal["attachments"])} if proposal.get("attachments") else {}),
        "coverage": redact_object(result["coverage"]),
        "timings": {name: _milliseconds(seconds) for name, seconds in result["timings"].items()},
        **({"earlier": redact_object(history.described(before, seen))} if seen and proposal["workflow"] != history.UNDO else {}),
    }
    if not proposal["plan"]:
        return {**document, "plan": None, "digest": "", **_NO_CHANGE}
    if redact_object(proposal["plan"]) != proposal["plan"]:
        reason = "the change itself holds what looks like a secret, which must not get into a record; a person has to make it"
        return {**document, "plan": None, "digest": "", **_NO_CHANGE, "no_plan_reason": reason}
    plan = validate(seal(proposal["plan"], policies, requester(result["user"]), shown(document)))
    identified = {
        "remedy": proposal.get("remedy") or _remedy(proposal),
        "fingerprint": proposal.get("fingerprint") or history.fingerprint(plan),
        **({"basis": str(proposal["basis"])} if proposal.get("basis") else {}),
    }
    return {**document, "plan": plan, "digest": digest(plan), **identified}


def _differing(opinion: Mapping[str, Any], ours: Mapping[str, float]) -> dict[str, list[str]]:
    """Where an engine would choose other figures than the plan has: the approver is to see that."""
    theirs = opinion.get("figures") or {}
    found = [
        f"{opinion['engine']} would choose {name.replace('_', ' ')} {theirs[name]:g}, the plan has {ours[name]:g}"
        for name in ours
        if name in theirs and theirs[name] != ours[name]
    ]
    return {"differs": found} if found else {}


def shown(document: Mapping[str, Any]) -> str:
    """The digest of everything in a proposal that the approver is shown beside the plan."""
    later = [name for name in _SHOWN_WHERE_PRESENT if name in document]
    return digest({name: document.get(name) for name in (*_SHOWN, *later)})


def _remedy(proposal: Mapping[str, Any]) -> str:
    """The name of the remedy that the plan carries out: the one whose summary is the plan's."""
    found = (one["name"] for one in proposal["remedies"] if one["summary"] == proposal["plan"]["summary"])
    return str(next(found, ""))


def _redacted(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {key: redact(value)[0] if isinstance(value, str) else value for key, value in finding.items()}


def _milliseconds(seconds: float) -> float:
    return round(float(seconds), 3)
