# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the gate refuses: decisions on the wrong record, damaged records, changes that nobody approved, forged variables."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.cluster import Cluster
from tests.integration.forgery import OPEN, Change, content, followed_by, line, moved, proposed_with
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


PAST = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
APPROVE = {"decision": "approve", "digest": "{digest}"}
DAMAGED = ("damaged at event 1", "content does not match its hash", "Restore the file from a backup")
EDITED = line(0, '"20Mi"', '"19Mi"')
FORGED = {
    "execution_found": {"state": "executed", "undo_needed": True},
    "execution_applied": {"state": "executed"},
    "execution_proven": {"undo_needed": True},
    "execution_watched": {"undo_needed": True},
    "approval_decided": {"decided": True},
    "ansible_check_mode": False,
}
CASES = [
    # --- decisions
    Case("unknown record", "approve", {"record": "99", **APPROVE}, ("There is no record 0099", f"Known: {ADVICE}, {OPEN}", "records_dir and feature")),
    Case("record that is no number", "approve", {"record": "abc", **APPROVE}, ("record is 'abc'", "number of a record, such as 0007", "aiops.k8s.records")),
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
    Case("rejection of another plan", "approve", {"record": OPEN, "decision": "reject", "digest": "00000000", "reason": "no"}, ("00000000 is not the one",)),
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
    Case("list with a damaged record", "records", {}, (f"do not verify: {OPEN}", f"{ADVICE}   closed", f"{OPEN}   damaged", "backup"), EDITED, state=""),
    Case(
        "approval for another plan",
        "execute",
        {"record": OPEN},
        ("approval in record 0002 is for the digest 00000000",),
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
    Case("approval that is over", "execute", {"record": OPEN}, (f"expired at {PAST}",), followed_by(("approved", {"expires": PAST})), state="approved"),
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
    Case("start at the task that applies", "execute", {"record": OPEN}, (), arguments=("--start-at-task", "aiops.k8s.execution : Apply the approved change")),
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
        {"resume_found": {"records": [{"id": OPEN, "state": "failed", "unfinished": True}]}, "execution_found": {"state": "failed", "undo_needed": True}},
        ("only a change whose check failed",),
    ),
]
# these end well, because nothing was asked of the gate; what counts is that nothing was changed
HARMLESS = ("start at the task that applies", "start at the end", "skip all tags", "only some tags", "forged answer", "forged terminal and answer")


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
            "two failing pods", lambda: all(reasons(kubectl.pods().get(app, [{}])[0]) & {reason} for app, reason in (("web", "OOMKilled"), ("api", "Error")))
        )
        ansible = Ansible(tmp_path_factory.mktemp("stage"))
        ansible("diagnose", namespace=kubectl.namespace).ok()
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
    options = json.loads(json.dumps(case.options).replace("{digest}", proposed[:8]).replace("{digest:.7}", proposed[:7]))
    return ansible(case.playbook, case.arguments, **options), ansible.records


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case, stage: Stage) -> None:
    run, records = stage.futures[case].result()
    (run.ok if case.name in HARMLESS else lambda: run.refused(*case.says))()
    expected = "expired" if case.name in ("too late", "approval that is over") else case.state
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
    ansible("diagnose", namespace=stage.kubectl.namespace).ok()
    assert ansible.state("0004") == "proposed" and Directory(str(tmp_path / "records"), FEATURE).load("0004").digest
    ansible("resume").refused(f"Record {OPEN} holds no event")
