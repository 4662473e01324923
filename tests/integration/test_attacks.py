# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The attack suite, first part: calls of the playbooks on tampered records, with forged variables and signatures. Each has to be refused.

`make attack` prints what was tried and what was refused; test_attacks_live.py has the attacks that need a moving cluster.
"""

from __future__ import annotations

import datetime
import json
import os
import pwd
import shutil
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import event
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.cluster import Cluster
from tests.integration.forgery import (
    APPROVER,
    OPEN,
    ROOT,
    Change,
    allowed,
    approved_by_signature,
    both,
    content,
    folder_linked,
    followed_by,
    key,
    line,
    lines,
    linked,
    mode,
    moved,
    proposed_with,
    public,
    rewrite,
    rules,
    shown_with,
    signed,
)
from tests.integration.staging import Kubectl, deployment, hungry, is_dry_run, namespace, reasons
from tests.integration.support import FEATURE, Ansible, Run, begin, events, state, wait

ADVICE = "0001"  # a record without a plan, beside OPEN, which waits for its decision


@dataclass(frozen=True, eq=False)
class Case:
    """One call that has to be refused. ``first`` changes the records before it; {digest} is the start of OPEN's digest."""

    name: str
    playbook: str
    options: Mapping[str, Any]
    says: tuple[str, ...]
    first: Change | None = None
    arguments: tuple[str, ...] = ()
    state: str = "proposed"  # of OPEN, before and after


def _stamp(hours: float) -> str:
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


PAST = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
APPROVE = {"decision": "approve", "digest": "{digest}"}
DAMAGED = ("damaged at event 1", "content does not match its hash", "Restore the file from a backup")
EDITED = line(0, '"20Mi"', '"19Mi"')
SIGNATURES = {"medium": {"proof": "signature", "four_eyes": True, "approvers": [APPROVER]}}
SIGNED = {"record": OPEN, "approval_file": "{dir}/a.json"}
ME = pwd.getpwuid(os.getuid()).pw_name
FOUR_EYES = {"four_eyes": True}
FORGED = {
    "execution_found": {"state": "executed", "undo_needed": True},
    "execution_applied": {"state": "executed"},
    "execution_proven": {"undo_needed": True},
    "execution_watched": {"undo_needed": True},
    "approval_decided": {"decided": True},
    "ansible_check_mode": False,
}
FREEZE = {"from": "2026-01-01T00:00:00Z", "until": "2126-01-01T00:00:00Z", "reason": "audit"}
EITHER = ("either",)  # refused or not: nothing may happen
EVERYTHING = {
    **{key: True for key in ("person_present", "undo_needed", "decided", "ask", "changed", "unfinished", "failed")},
    **{"state": "approved", "id": OPEN, "digest": "{digest}", "user_input": "approve {digest}", "question": "?", "msg": "forged"},
    "records": [{"id": OPEN, "state": "approved", "unfinished": True, "digest": "{digest}", "title": "x", "undo_needed": True}],
    "document": {},
    "opinions": [],
    "proposals": [],
}


def internal_variables() -> list[tuple[str, str]]:
    """(playbook, name) of everything that tasks register, set or loop over, in the playbooks that can change something."""
    users = {"approval": ("approve",), "execution": ("execute", "resume"), "rollback": ("rollback",)}
    found: list[tuple[str, str]] = []
    for role, playbooks in users.items():
        names = sorted(
            {name for file in (ROOT / "roles" / role / "tasks").glob("*.yml") for name in _names(yaml.safe_load(file.read_text(encoding="utf-8")))}
        )
        found += [(playbook, name) for playbook in playbooks for name in names]
    for playbook in ("approve", "execute", "resume", "rollback"):
        found += [(playbook, name) for name in _names(yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8")))]
    return list(dict.fromkeys(found))


def _names(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for one in node for name in _names(one)]
    if not isinstance(node, dict):
        return []
    own = [str(node[key]) for key in ("register", "loop_var") if key in node] + list(node.get("ansible.builtin.set_fact", {}))
    return own + [name for value in node.values() for name in _names(value)]


def forged_actor(records: Path) -> None:
    """The first event says that somebody else wrote it than the plan says."""
    known = events(records / f"{OPEN}.jsonl")
    rewrite(records, [event([], "proposed", known[0]["payload"], {**known[0]["actor"], "user": "another"})])


def swapped_plan(records: Path) -> None:
    """Another plan under the approval of the one before, every hash recomputed."""
    known = events(records / f"{OPEN}.jsonl")
    approval = known[1]["payload"]
    proposed_with(summary="something else")(records)
    now = events(records / f"{OPEN}.jsonl")
    followed_by(("approved", {**approval, "digest": now[0]["payload"]["digest"]}))(records)


CASES = [
    # --- decisions
    Case(
        "unknown record", "approve", {"record": "99", **APPROVE}, ("There is no record 0099", f"Known: {ADVICE}, {OPEN}", "records_dir and feature")
    ),
    Case(
        "record that is no number",
        "approve",
        {"record": "abc", **APPROVE},
        ("record is 'abc'", "number of a record, such as 0007", "aiops.k8s.records"),
    ),
    Case("record that is a path", "approve", {"record": "../0002", **APPROVE}, ("record is '../0002'",)),
    Case("no record", "approve", APPROVE, ("record", "number of a record")),
    Case("other feature", "approve", {"record": OPEN, "feature": "005-other", **APPROVE}, (f"There is no record {OPEN}", "005-other")),
    Case("without digest", "approve", {"record": OPEN, "decision": "approve"}, ("digest is ''", "first 8 hexadecimal digits")),
    Case("short digest", "approve", {"record": OPEN, "decision": "approve", "digest": "{digest:.7}"}, ("digest is '", "first 8 hexadecimal digits")),
    Case(
        "wrong digest",
        "approve",
        {"record": OPEN, "decision": "approve", "digest": "00000000"},
        ("00000000 is not the one of record 0002", "Read the plan again"),
    ),
    Case("decision", "approve", {"record": OPEN, "decision": "perhaps", "digest": "{digest}"}, ("decision", "perhaps", "approve, reject")),
    Case("rejection without reason", "approve", {"record": OPEN, "decision": "reject", "digest": "{digest}"}, ("reason is empty", "reason=")),
    Case(
        "rejection of another plan",
        "approve",
        {"record": OPEN, "decision": "reject", "digest": "00000000", "reason": "no"},
        ("00000000 is not the one",),
    ),
    Case("advice cannot be approved", "approve", {"record": ADVICE, **APPROVE}, (f"Record {ADVICE} proposes no change", "no earlier revision")),
    Case(
        "rejected already",
        "approve",
        {"record": OPEN, **APPROVE},
        ("is rejected", "only a proposed one"),
        followed_by(("rejected", {"reason": "no"})),
        state="rejected",
    ),
    Case("too late", "approve", {"record": OPEN, **APPROVE}, (f"expired at {PAST}", "Run the workflow again"), proposed_with(expires=PAST)),
    Case(
        "four eyes",
        "approve",
        {"record": OPEN, **APPROVE},
        ("needs four eyes", "also made the proposal"),
        proposed_with(policy={"four_eyes": True, "approvers": [], "approval_minutes": 60}),
    ),
    Case(
        "not an approver",
        "approve",
        {"record": OPEN, **APPROVE},
        ("is not among the approvers", "anna"),
        proposed_with(policy={"four_eyes": False, "approvers": ["anna"], "approval_minutes": 60}),
    ),
    # --- damaged records
    *(
        Case(f"{playbook}: edited", playbook, {"record": OPEN, **(APPROVE if playbook == "approve" else {})}, (OPEN, *DAMAGED), EDITED, state="")
        for playbook in ("approve", "execute", "records", "resume")
    ),
    Case("emptied", "execute", {"record": OPEN}, (f"{OPEN} holds no event", "Restore the file"), content(""), state=""),
    Case(
        "not JSON",
        "execute",
        {"record": OPEN},
        (f"{OPEN} is damaged at line 1", "not a JSON object", "Restore the file"),
        content("once upon a time\n"),
        state="",
    ),
    Case("an event lacks keys", "execute", {"record": OPEN}, (f"{OPEN} is damaged at event 1", "it lacks seq"), content("{}\n"), state=""),
    Case("copied from another number", "execute", {"record": "0003"}, ("it was copied from elsewhere",), moved),
    Case(
        "list with a damaged record", "records", {}, (f"do not verify: {OPEN}", f"{ADVICE}   closed", f"{OPEN}   damaged", "backup"), EDITED, state=""
    ),
    Case(
        "approval for another plan",
        "execute",
        {"record": OPEN},
        ("approval in record 0002 does not count: it is for the digest 00000000",),
        followed_by(("approved", {"digest": "0" * 64})),
        state="approved",
    ),
    Case(
        "approval by nobody allowed",
        "execute",
        {"record": OPEN},
        ("does not count", "four eyes"),
        proposed_with(True, policy={"four_eyes": True, "approvers": []}),
        state="approved",
    ),
    Case(
        "approval that is over", "execute", {"record": OPEN}, (f"expired at {PAST}",), followed_by(("approved", {"expires": PAST})), state="approved"
    ),
    Case(
        "plan for another cluster",
        "execute",
        {"record": OPEN},
        ("is for the cluster 1111", "Give the kubeconfig or context"),
        proposed_with(True, cluster={"uid": "1111", "server": "https://elsewhere"}),
        state="approved",
    ),
    # --- changes that nobody approved
    Case("execute proposed", "execute", {"record": OPEN}, ("is proposed", "never approved", "ansible-playbook aiops.k8s.approve -e record=0002")),
    Case(
        "execute rejected",
        "execute",
        {"record": OPEN},
        ("is rejected", "never approved"),
        followed_by(("rejected", {"reason": "no"})),
        state="rejected",
    ),
    Case("execute closed", "execute", {"record": ADVICE}, (f"Record {ADVICE} proposes no change",)),
    Case(
        "execute twice",
        "execute",
        {"record": OPEN},
        ("is closed: its approval was used, and counts once",),
        followed_by(
            ("approved", {}),
            ("executing", {}),
            ("executed", {"changes": [], "applied": PAST}),
            ("validated", {"watch_until": PAST, "met": {}, "seconds": 1, "state": "", "baseline": {}}),
            ("closed", {}),
        ),
        state="closed",
    ),
    Case(
        "execute rolled back",
        "execute",
        {"record": OPEN},
        ("is rolled_back: its approval was used",),
        followed_by(("approved", {}), ("executing", {}), ("failed", {"phase": "validate"}), ("rolling_back", {}), ("rolled_back", {"changes": []})),
        state="rolled_back",
    ),
    Case(
        "start at the task that applies",
        "execute",
        {"record": OPEN},
        (),
        arguments=("--start-at-task", "aiops.k8s.execution : Apply the approved change"),
    ),
    Case("start at the end", "execute", {"record": OPEN}, (), arguments=("--start-at-task", "Conclude")),
    Case("skip all tags", "execute", {"record": OPEN}, (), arguments=("--skip-tags", "all")),
    Case("only some tags", "execute", {"record": OPEN}, (), arguments=("--tags", "execute")),
    Case("check mode", "execute", {"record": OPEN}, ("never approved",), arguments=("--check", "--diff")),
    Case("forged state", "execute", {"record": OPEN, "execution_found": FORGED["execution_found"]}, ("Record 0002 is proposed",)),
    Case(
        "forged failure of the proof",
        "execute",
        {"record": OPEN, "execution_applied": {"state": "proposed"}, "execution_proven": {"undo_needed": True}},
        ("never approved",),
    ),
    Case("forged answer", "approve", {"record": OPEN, "approval_answer": {"user_input": "approve {digest}"}}, ()),
    Case(
        "forged terminal and answer",
        "approve",
        {
            "record": OPEN,
            "approval_shown": {"state": "proposed", "person_present": True, "question": "?"},
            "approval_answer": {"user_input": "approve {digest}"},
        },
        (),
    ),
    Case("forged everything", "execute", {"record": OPEN, **FORGED}, ("Record 0002 is proposed",)),
    Case("forged list", "resume", {"resume_found": {"records": [{"id": OPEN, "state": "approved", "unfinished": True}]}}, ("never approved",)),
    Case(
        "forged failure",
        "resume",
        {
            "resume_found": {"records": [{"id": OPEN, "state": "failed", "unfinished": True}]},
            "execution_found": {"state": "failed", "undo_needed": True},
        },
        ("only a change whose check failed",),
    ),
    # --- records that were rearranged
    Case("approval removed", "execute", {"record": OPEN}, ("never approved",), both(followed_by(("approved", {})), lines(lambda known: known[:1]))),
    Case(
        "approval cut in the middle",
        "execute",
        {"record": OPEN},
        ("never approved",),
        both(followed_by(("approved", {})), lines(lambda known: [known[0], known[1][:200]])),
    ),
    *(
        Case(
            f"events {what}",
            "execute",
            {"record": OPEN},
            (f"{OPEN} is damaged at", "Restore the file"),
            both(followed_by(("approved", {})), lines(how)),
            state="",
        )
        for what, how in (
            ("reordered", lambda known: [known[1], known[0]]),
            ("doubled", lambda known: [*known, known[1]]),
            ("without the first", lambda known: known[1:]),
            ("cut in the middle of the chain", lambda known: [known[0][:200] + "\n", known[1]]),
        )
    ),
    Case("record that anyone may write", "execute", {"record": OPEN}, (f"{OPEN}.jsonl", "o-w"), mode(0o666), state="proposed"),
    Case("approve a record that anyone may write", "approve", {"record": OPEN, **APPROVE}, (f"{OPEN}.jsonl", "o-w"), mode(0o666)),
    Case("record that is a link", "approve", {"record": OPEN, **APPROVE}, (f"{OPEN}.jsonl", "symbolic link"), linked),
    Case("folder that is a link", "approve", {"record": OPEN, **APPROVE}, (FEATURE, "symbolic link"), folder_linked),
    Case("folder that anyone may write", "approve", {"record": OPEN, **APPROVE}, (FEATURE, "o-w"), mode(0o777, ".")),
    Case("records that escape", "approve", {"record": OPEN, "feature": "../../etc", **APPROVE}, ("feature is '../../etc'",)),
    Case("record that escapes", "execute", {"record": "../../0002"}, ("record is '../../0002'",)),
    Case("edited evidence, every hash recomputed", "approve", {"record": OPEN, **APPROVE}, ("evidence", "were edited"), shown_with(evidence=[])),
    Case("edited finding, every hash recomputed", "approve", {"record": OPEN, **APPROVE}, ("findings", "were edited"), shown_with(title="harmless")),
    Case(
        "another requester, every hash recomputed",
        "approve",
        {"record": OPEN, **APPROVE},
        ("was not written by whoever its plan says",),
        both(proposed_with(requested_by={"user": "someone", "uid": 1, "host": "x"}), lines(lambda known: known), forged_actor),
    ),
    # --- time
    Case(
        "clock set back",
        "execute",
        {"record": OPEN},
        ("before the approval", "Set the clock right"),
        followed_by(("approved", {}), moment=_stamp(1)),
        state="approved",
    ),
    Case(
        "clock set back before the proposal",
        "approve",
        {"record": OPEN, **APPROVE},
        ("before the proposal", "Set the clock right"),
        proposed_with(created=_stamp(1)),
    ),
    Case(
        "approval before the proposal",
        "execute",
        {"record": OPEN},
        ("outside the time of the proposal",),
        followed_by(("approved", {}), moment=PAST),
        state="approved",
    ),
    Case(
        "approval that gives itself a thousand years",
        "execute",
        {"record": OPEN},
        ("expired at",),
        both(proposed_with(created=_stamp(-3)), followed_by(("approved", {"expires": "2999-01-01T00:00:00.000Z"}), moment=PAST)),
        state="approved",
    ),
    Case(
        "approve in a freeze",
        "approve",
        {"record": OPEN, **APPROVE},
        ("not approved", "frozen until"),
        rules(policy={"medium": {"freeze": [FREEZE]}}),
    ),
    Case(
        "execute in a freeze",
        "execute",
        {"record": OPEN},
        ("frozen until",),
        both(followed_by(("approved", {})), rules(policy={"medium": {"freeze": [FREEZE]}})),
        state="approved",
    ),
    # --- who approves
    *(
        Case(
            f"four eyes: {what}",
            "approve",
            {"record": OPEN, **APPROVE},
            ("needs four eyes", "also made the proposal"),
            both(proposed_with(requested_by={"user": user, "uid": 4711, "host": "elsewhere"}), rules(policy={"medium": FOUR_EYES})),
        )
        for what, user in (("on another host", ME), ("in capitals", ME.upper()), ("with a domain", f"{ME}@corp"), ("of a domain", f"CORP\\{ME}"))
    ),
    Case(
        "four eyes: another name for the same account",
        "approve",
        {"record": OPEN, **APPROVE},
        ("needs four eyes",),
        both(proposed_with(requested_by={"user": "toor", "uid": os.getuid(), "host": socket.gethostname()}), rules(policy={"medium": FOUR_EYES})),
    ),
    Case(
        "typed name",
        "approve",
        {"record": OPEN, "user": "bea", "approver": "bea", "ansible_user": "bea", **APPROVE},
        ("is not among",),
        rules(policy={"medium": {"approvers": ["bea"]}}),
    ),
    Case(
        "not in the group",
        "approve",
        {"record": OPEN, **APPROVE},
        ("is not among", "group architects"),
        rules(policy={"medium": {"approver_groups": ["architects"]}}),
    ),
    Case(
        "acting as somebody else in the cluster",
        "approve",
        {"record": OPEN, "impersonate_user": "bea", **APPROVE},
        ("is not among the approvers", "bea"),
        rules(policy={"medium": {"proof": "cluster_user", "approvers": ["bea"]}}),
    ),
    Case(
        "the cluster does not answer",
        "approve",
        {"record": OPEN, "host": "https://127.0.0.1:9", "api_key": "x", **APPROVE},
        ("cluster identity",),
        rules(policy={"medium": {"proof": "cluster_user"}}),
    ),
    Case(
        "the policy was made lax, every hash recomputed",
        "execute",
        {"record": OPEN},
        ("needs a signature",),
        both(proposed_with(True, policy={"proof": "os_user", "four_eyes": False}), rules(policy=SIGNATURES)),
        state="approved",
    ),
    Case(
        "policy that anyone may write",
        "approve",
        {"record": OPEN, **APPROVE},
        ("may be written by anyone",),
        both(rules(policy=SIGNATURES), mode(0o666, "../policy.yml")),
    ),
    Case(
        "policy that is broken",
        "approve",
        {"record": OPEN, **APPROVE},
        ("policy.yml", "medium.four_eys is not a setting"),
        rules(policy={"medium": {"four_eys": True}}),
    ),
    # --- signatures
    Case("no signature", "approve", {"record": OPEN, **APPROVE}, ("needs a signature",), rules(policy=SIGNATURES, allowed_signers=allowed())),
    Case(
        "forged approval, every hash recomputed",
        "execute",
        {"record": OPEN},
        ("needs a signature",),
        both(followed_by(("approved", {})), rules(policy=SIGNATURES, allowed_signers=allowed())),
        state="approved",
    ),
    Case(
        "signing with any key",
        "approve",
        {"record": OPEN, "signing_key": key("mallory"), **APPROVE},
        ("by nobody whom",),
        rules(policy=SIGNATURES, allowed_signers=allowed()),
    ),
    *(
        Case(f"signature: {what}", "approve", SIGNED, says, both(rules(policy=SIGNATURES, allowed_signers=signers), first))
        for what, says, signers, first in (
            ("a key that nobody allowed", ("by nobody whom",), allowed(), signed("mallory")),
            ("another purpose", ("namespace does not match",), allowed(), signed(namespace="git")),
            ("a key allowed for another purpose", ("does not hold",), allowed(options='namespaces="git"'), signed()),
            ("a key that has run out", ("by nobody whom",), allowed(options='valid-before="20250101"'), signed()),
            ("somebody who may not approve", ("cem@corp is not among",), allowed(principal="cem@corp"), signed()),
            (
                "the requester",
                ("needs four eyes",),
                allowed(principal=f"{ME.capitalize()}@corp"),
                both(rules(policy={"medium": {"proof": "signature", "four_eyes": True}}), signed()),
            ),
            ("another plan", ("about another plan", "its digest"), allowed(), signed(digest="0" * 64)),
            ("another cluster", ("about another plan", "its cluster"), allowed(), signed(cluster="1111")),
            ("another summary", ("about another plan", "its summary"), allowed(), signed(summary="harmless")),
            ("too early", ("not between the proposal and now",), allowed(), signed(time=PAST)),
            ("from the future", ("not between the proposal and now",), allowed(), signed(time=_stamp(1))),
            ("edited after it was signed", ("does not hold",), allowed(), signed(after=lambda data: data.replace(b'"reason":""', b'"reason":" "'))),
            (
                "a rejection turned into an approval",
                ("does not hold",),
                allowed(),
                signed(decision="reject", after=lambda data: data.replace(b'"reject"', b'"approve"')),
            ),
            ("no statement", ("is no statement",), allowed(), signed(after=lambda data: b"approve everything\n")),
        )
    ),
    Case(
        "signature: a revoked key",
        "approve",
        SIGNED,
        ("is revoked by",),
        both(rules(policy=SIGNATURES, allowed_signers=allowed(), revoked_keys=public("bea") + "\n"), signed()),
    ),
    Case(
        "signature: handed in too late",
        "approve",
        SIGNED,
        (f"expired at {PAST}",),
        both(proposed_with(created=_stamp(-3), expires=PAST), rules(policy=SIGNATURES, allowed_signers=allowed()), signed(time=_stamp(-2.5))),
    ),
    Case(
        "signature and decision",
        "approve",
        {**SIGNED, "decision": "approve"},
        ("mutually exclusive",),
        both(rules(policy=SIGNATURES, allowed_signers=allowed()), signed()),
    ),
    *(
        Case(
            f"recorded signature: {what}",
            "execute",
            {"record": OPEN},
            ("does not count", says),
            both(rules(policy=SIGNATURES, **files), first),
            state="approved",
        )
        for what, says, files, first in (
            ("by another key", "by nobody whom", {"allowed_signers": allowed()}, approved_by_signature("mallory")),
            (
                "by somebody else than it says",
                "is by cem@corp, not by bea@corp",
                {"allowed_signers": allowed(principal="cem@corp")},
                approved_by_signature(),
            ),
            ("for another digest", "about another plan", {"allowed_signers": allowed()}, approved_by_signature(digest="0" * 64)),
            ("revoked since", "is revoked by", {"allowed_signers": allowed(), "revoked_keys": public("bea") + "\n"}, approved_by_signature()),
            ("without anybody to judge it", "no allowed_signers", {}, approved_by_signature()),
        )
    ),
    Case(
        "approved under one plan, executed under another",
        "execute",
        {"record": OPEN},
        ("about another plan",),
        both(rules(policy=SIGNATURES, allowed_signers=allowed()), approved_by_signature(), swapped_plan),
        state="approved",
    ),
    # --- rollback
    Case("roll back what was never done", "rollback", {"record": OPEN, "reason": "x"}, ("is proposed: nothing was changed yet",)),
    Case("roll back advice", "rollback", {"record": ADVICE, "reason": "x"}, ("proposes no change",)),
    Case("roll back without a reason", "rollback", {"record": OPEN}, ("reason is empty",)),
    Case(
        "forged rollback result",
        "rollback",
        {"record": OPEN, "reason": "x", "rollback_result": {"proposals": []}},
        ("is proposed: nothing was changed yet",),
    ),
    # --- every internal variable of every role and playbook, forged; each call ends in one way or another, and nothing happens
    *(Case(f"{playbook}: forged {name}", playbook, {"record": OPEN, name: EVERYTHING}, EITHER) for playbook, name in internal_variables()),
]
# these end well, because nothing was asked of the gate; what counts is that nothing was changed
EXPIRE = ("too late", "approval that is over", "approval that gives itself a thousand years", "signature: handed in too late")
HARMLESS = (
    "start at the task that applies",
    "start at the end",
    "skip all tags",
    "only some tags",
    "forged answer",
    "forged terminal and answer",
)


@dataclass
class Stage:
    kubectl: Kubectl
    ansible: Ansible
    futures: dict[Case, Future[tuple[Run, Path]]]


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A record without a plan and one with, and all chosen cases begun at once on copies of them."""
    with namespace(cluster, "records") as kubectl:
        kubectl.apply(hungry(cluster, "web"), deployment(cluster, "api", "echo 'Error: DATABASE_URL is required'; exit 1"))
        wait(
            "two failing pods",
            lambda: all(reasons(kubectl.pods().get(app, [{}])[0]) & {reason} for app, reason in (("web", "OOMKilled"), ("api", "Error"))),
        )
        ansible = Ansible(tmp_path_factory.mktemp("stage"))
        ansible.propose(kubectl.namespace, ["web"])
        assert (ansible.state(ADVICE), ansible.state(OPEN)) == ("closed", "proposed")
        yield Stage(kubectl, ansible, begin(request, "case", lambda case: call(case, ansible, tmp_path_factory.mktemp("case"))))


def call(case: Case, staged: Ansible, directory: Path) -> tuple[Run, Path]:
    ansible = Ansible(directory)
    shutil.copytree(staged.records, ansible.records)
    if case.first:
        case.first(ansible.records)
    before = state(events(ansible.records / f"{OPEN}.jsonl")) if case.state else ""
    assert before == case.state, f"staged wrongly: {before}"
    proposed = str(events(ansible.records / f"{OPEN}.jsonl")[0]["payload"]["digest"]) if case.state else "0" * 64
    options = json.loads(
        json.dumps(case.options).replace("{digest}", proposed[:8]).replace("{digest:.7}", proposed[:7]).replace("{dir}", str(ansible.records.parent))
    )
    return ansible(case.playbook, case.arguments, **options), ansible.records


@pytest.mark.attack
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case, stage: Stage) -> None:
    run, records = stage.futures[case].result()
    if case.says is EITHER:
        assert "Traceback" not in run.output, run.output
    elif case.name in HARMLESS:
        run.ok()
    else:
        run.refused(*case.says)
    expected = "expired" if case.name in EXPIRE else case.state
    if expected:
        assert state(events(records / f"{OPEN}.jsonl")) == expected
    assert not list(records.glob("*.part")) and not list(records.glob("*.new"))
    assert not run.left, f"files with credentials are left in the temporary directory: {run.left}"


def test_nothing_was_changed(stage: Stage) -> None:
    for future in stage.futures.values():
        future.result()
    assert [one["requestURI"] for one in stage.kubectl.writes() if not is_dry_run(one)] == []
    assert stage.kubectl.generation("web") == 1


def test_one_damaged_record_does_not_hide_the_others(stage: Stage, tmp_path: Path) -> None:
    ansible = Ansible(tmp_path)
    shutil.copytree(stage.ansible.records, ansible.records)
    content("")(ansible.records)
    ansible("diagnose", namespace=stage.kubectl.namespace, again=True).ok()
    assert ansible.state("0004") == "proposed" and Directory(str(tmp_path / "records"), FEATURE).load("0004").digest
    ansible("resume").refused(f"Record {OPEN} holds no event")
