# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The PHR of a record in each state: spec-kit's front matter and sections, and every fact in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, phr, plan as plans, record as chain

from tests.unit.operation import samples

KEYS = ["id", "title", "stage", "date", "surface", "model", "feature", "branch", "user", "command", "labels", "links", "files", "tests", "aiops"]
SECTIONS = ["## Prompt", "## Response snapshot", "## Decision", "## Outcome", "## Evaluation notes (flywheel)"]
PATH = "spec.template.spec.containers[app].resources.limits.memory"


def front(text: str) -> dict[str, Any]:
    start, matter, _rest = text.split("---\n", 2)
    assert start == ""
    return dict(yaml.safe_load(matter))


def opinion(**more: Any) -> dict[str, Any]:
    return {
        "engine": "kubectl-ai",
        "model": "m-1",
        "outcome": "answered",
        "agrees": True,
        "duration_seconds": 1.5,
        "root_cause": "memory",
        "prompt": "why?",
        **more,
    }


@pytest.mark.parametrize("state", samples.WAYS)
def test_every_state_renders(state: str) -> None:
    events = samples.events(*samples.WAYS[state])
    text = phr.render(events)
    matter = front(text)
    assert list(matter) == KEYS and list(matter["links"]) == ["spec", "ticket", "adr", "pr"]
    assert matter["aiops"]["state"] == state and matter["aiops"]["events"] == len(events) and matter["aiops"]["head"] == events[-1]["hash"]
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("## ")] == SECTIONS
    assert f"\n**{state}** - " in text
    assert text.endswith("\n") and not text.endswith("\n\n") and not [line for line in lines if line != line.rstrip()]
    table = [line for line in lines if line.startswith("| 2026-")]
    assert [line.split(" | ")[1] for line in table] == ["proposed", *samples.WAYS[state]]


@pytest.mark.parametrize("state", samples.WAYS)
def test_rendering_is_pure(state: str) -> None:
    events = samples.events("refused", "resumed", *samples.WAYS[state])
    before = json.dumps(events)
    assert phr.render(events) == phr.render(json.loads(before)) and json.dumps(events) == before


def test_front_matter() -> None:
    matter = front(phr.render(samples.events("approved")))
    assert {key: matter[key] for key in KEYS if key != "aiops"} == {
        "id": "0001",
        "title": "OOMKilled in deployment/web in namespace shop",
        "stage": "misc",
        "date": "2026-11-21",
        "surface": "agent",
        "model": "none (built-in analysis)",
        "feature": "004",
        "branch": "none",
        "user": "ann",
        "command": "ansible-playbook aiops.k8s.diagnose -e namespace=shop",
        "labels": ["aiops", "diagnose", "OOMKilled"],
        "links": {"spec": None, "ticket": None, "adr": None, "pr": None},
        "files": ["0001.jsonl"],
        "tests": ["status_changed", "available", "restarts_stable", "watch"],
    }
    assert matter["aiops"]["risk"] == "medium" and matter["aiops"]["cluster"]["uid"] == "cluster-1"


@pytest.mark.parametrize(
    "opinions, model",
    [
        ([], "none (built-in analysis)"),
        ([opinion(outcome="unavailable", agrees=None)], "none (built-in analysis)"),
        ([opinion()], "m-1"),
        ([opinion(model="z"), opinion(model="a", outcome="disagrees", agrees=False), opinion(model="z")], "a, z"),
    ],
)
def test_the_models_that_took_part(opinions: list[dict[str, Any]], model: str) -> None:
    assert front(phr.render(samples.events(first=samples.payload(samples.plan(), opinions=opinions))))["model"] == model


def test_the_plan_is_shown_as_a_diff_with_its_digest() -> None:
    payload = samples.payload(samples.plan())
    text = phr.render(samples.events(first=payload))
    assert f"```diff\n  {PATH}\n- 64Mi\n+ 128Mi\n```" in text
    assert f"Digest `{payload['digest']}`, decided by 2026-11-21T20:00:00.000Z." in text
    assert "Raise the memory limit of container app from 64Mi to 128Mi." in text
    assert "computed locally, not rehearsed by the API server" in text
    assert "**medium**: starts a rolling update." in text and "The limit is set back to 64Mi." in text
    assert "- K4: then deployment/web stays available without restarts for 10 min (watch)" in text


def test_additions_and_removals_in_the_diff() -> None:
    live = samples.deployment()
    desired = json.loads(json.dumps(live))
    container = desired["spec"]["template"]["spec"]["containers"][0]
    del container["env"]
    container["args"] = ["one", "two"]
    changes = [{**plans.patch_change("C1", live, desired), "dry_run": "server"}]
    text = phr.render(samples.events(first=samples.payload(samples.plan(changes))))
    assert '  spec.template.spec.containers[app].args\n+ ["one", "two"]\n' in text
    assert '  spec.template.spec.containers[app].env\n- [{"name": "MODE", "value": "fast"}]\n' in text
    assert "rehearsed by the API server (dry run)" in text


def test_evidence_is_a_code_block_inside_its_list_item() -> None:
    fact = {"id": "E1", "source": "log of pod/web-1", "time": "", "excerpt": "line one\n\n  line two"}
    text = phr.render(samples.events(first=samples.payload(samples.plan(), evidence=[fact])))
    assert "- **E1** log of pod/web-1\n\n  ```\n  line one\n\n    line two\n  ```\n" in text


def test_advice_says_why_there_is_no_plan() -> None:
    events = samples.events("closed", first=samples.payload(None, no_plan_reason="a person has to decide"))
    text = phr.render(events)
    assert "### Proposed change\n\nNone: a person has to decide." in text and "### Risk" not in text
    assert front(text)["tests"] == ["none"] and front(text)["aiops"]["risk"] is None and front(text)["aiops"]["digest"] is None


def test_notes_and_what_was_not_chosen() -> None:
    plan = {**samples.plan(), "notes": ["revision 1: 2 pods ready"]}
    text = phr.render(samples.events(first=samples.payload(plan, not_chosen=["no earlier revision", "quota"])))
    assert "\n- revision 1: 2 pods ready\n" in text and "Not chosen: no earlier revision; quota." in text


def test_opinions() -> None:
    opinions = [
        opinion(remarks=["used 3 commands"], note="its remedy was not offered"),
        opinion(engine="kagent", model="", outcome="timeout", agrees=None, root_cause="", reason="no answer in 20 s", prompt=""),
        opinion(agrees=False, root_cause="disk"),
    ]
    text = phr.render(samples.events(first=samples.payload(samples.plan(), opinions=opinions)))
    assert "- kubectl-ai (m-1), 1.5 s: **agrees**: memory\n  - its remedy was not offered\n  - used 3 commands\n" in text
    assert "- kagent (no model), 1.5 s: **timeout**: no answer in 20 s" in text and "**disagrees**: disk" in text
    assert text.count("<details><summary>Prompt sent to kubectl-ai (m-1), redacted</summary>\n\n```\nwhy?\n```\n\n</details>") == 2


def test_the_decision() -> None:
    text = phr.render(samples.events("refused", "approved"))
    assert "- **approved** by ann (established by os\\_user, uid 1000 on desk), terminal" in text
    assert "- at 2026-11-21T12:02:00.000Z, 2 min after the proposal, for the digest `dddddddd...`, valid until 2026-11-21T13:00:00.000Z" in text
    assert "- refused at 2026-11-21T12:01:00.000Z: the object moved" in text
    assert "No decision was made." in phr.render(samples.events())
    rejected = phr.render(samples.events("rejected"))
    assert "- reason: not today" in rejected and "Rejected; nothing was changed. not today" in rejected and "valid until" not in rejected


OUTCOMES = [
    ("validated", "K1 PASS after 1.0 s; K2 PASS after 2.5 s; 3 of 3 pods available"),
    ("failed", "FAIL: the new pod web-2 has restarted 2 times"),
    ("proposed", "not run"),
]


@pytest.mark.parametrize("state, tests", OUTCOMES)
def test_what_was_proven(state: str, tests: str) -> None:
    text = phr.render(samples.events(*samples.WAYS[state]))
    assert f"- 🧪 Tests: {tests}" in text and f"- Graders run and results (PASS/FAIL): {tests}" in text


def test_a_rollback_names_the_failure() -> None:
    text = phr.render(samples.events(*samples.WAYS["rolled_back"]))
    assert "The change did not work and was undone. the new pod web-2 has restarted 2 times" in text
    assert "| rolled_back | C1: undone |" in text


def test_measured_times() -> None:
    text = phr.render(samples.events(*samples.WAYS["validated"]))
    assert "measured times: observe 0.12 s, decision 60 s, change 2 min, proof 60 s" in text


COMMANDS = {
    "proposed": "approve -e record=0001 -e decision=approve -e digest=",
    "approved": "execute -e record=0001",
    "executing": "resume -e record=0001",
    "executed": "resume -e record=0001",
    "validated": "resume -e record=0001",
    "rolling_back": "resume -e record=0001",
    "failed": "resume -e record=0001",
    "rejected": "",
    "expired": "",
    "closed": "",
    "rolled_back": "",
}


@pytest.mark.parametrize("state", COMMANDS)
def test_the_next_command(state: str) -> None:
    events = samples.events(*samples.WAYS[state])
    command = phr.next_command(events)
    expected = f"ansible-playbook aiops.k8s.{COMMANDS[state]}" if COMMANDS[state] else ""
    assert command == expected + (events[0]["payload"]["digest"][:8] if state == "proposed" else "")
    assert (f"`{command}`" if command else "none; `ansible-playbook aiops.k8s.records -e record=0001` shows this record") in phr.render(events)


def test_nothing_is_next_where_nothing_is_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert phr.next_command(samples.events(first=samples.payload(None))) == ""
    monkeypatch.setitem(samples.PAYLOADS, "failed", {"phase": "apply", "reason": "refused", "applied": False})
    assert phr.next_command(samples.events("approved", "executing", "failed")) == ""


def test_the_next_command_repeats_the_options_quoted() -> None:
    payload = samples.payload(samples.plan(), options={"records_dir": "/srv/my records", "context": "prod"})
    command = phr.next_command(samples.events("approved", first=payload))
    assert command == 'ansible-playbook aiops.k8s.execute -e record=0001 -e \'{"records_dir": "/srv/my records"}\' -e context=prod'


@pytest.mark.parametrize(
    "title, name",
    [
        ("OOMKilled in deployment/web in namespace shop", "0001-oomkilled-in-deployment-web-in-namespace-shop"),
        ("../../etc/passwd", "0001-etc-passwd"),
        ("Ошибка", "0001-operation"),
        ("", "0001-operation"),
        ("a " * 50, "0001-a-a-a-a-a-a-a"),
        ("x" * 300, "0001-" + "x" * 80),
    ],
)
def test_file_names(title: str, name: str) -> None:
    events = samples.events(first=samples.payload(samples.plan(), title=title))
    assert phr.file_name(events) == f"{name}.misc.prompt.md"


def test_coverage_is_told() -> None:
    payload = samples.payload(samples.plan(), coverage={"read": [], "not_evaluated": [{"what": "nodes", "missing": "list nodes"}]})
    assert "- Not evaluated: nodes (list nodes)" in phr.render(samples.events(first=payload))
    assert "- Not evaluated: nothing was left out" in phr.render(samples.events())
    assert clock.stamp(samples.CREATED) in phr.render(samples.events())


def test_what_was_seen_before() -> None:
    before = [{"id": "0003", "state": "rolled_back", "time": "2026-11-20T10:00:00.000Z", "what": "raise the *limit*: did not work, undone"}]
    text = phr.render(samples.events(first=samples.payload(samples.plan(), earlier=before)))
    assert "### Seen before\n\n- 0003: rolled back at 2026-11-20T10:00:00.000Z: raise the \\*limit\\*: did not work, undone\n" in text
    assert "Seen before" not in phr.render(samples.events())


def test_a_proposal_that_was_overtaken() -> None:
    chained = samples.events()
    over = {"reason": "overtaken by record 0002, which fits the workload as it is now", "successor": "0002"}
    text = phr.render([*chained, chain.event(chained, "expired", over, samples.REQUESTER)])
    assert "**expired** - A later proposal took its place; nothing was changed." in text and "overtaken by record 0002" in text


def test_times() -> None:
    first = samples.payload(samples.plan(), findings=[samples.finding(since="2026-11-21T11:50:00Z")])
    text = phr.render(samples.events(*samples.WAYS["closed"], first=first))
    assert text[text.index("### Times") :].splitlines()[2:8] == [
        "| what | here | mean so far |",
        "| --- | --- | --- |",
        "| time to detect (failure to proposal) | 10 min | - |",
        "| time to decide (proposal to decision) | 60 s | - |",
        "| time to repair (proposal to proof) | 4 min | - |",
        "| outage (failure to proof) | 14 min | - |",
    ]
    assert "### Times" not in phr.render(samples.events())


@pytest.mark.parametrize("since", ["", "yesterday", "2026-99-99T00:00:00Z", "2026-11-21T11:50:00", 5, None])
def test_a_time_that_is_none_is_left_out(since: Any) -> None:
    text = phr.render(samples.events("approved", first=samples.payload(samples.plan(), findings=[samples.finding(since=since)])))
    assert "time to decide" in text and "time to detect" not in text


def test_commands_by_hand() -> None:
    text = phr.render(samples.events("closed", first=samples.payload(None, by_hand=["kubectl -n shop describe pod web-1", "kubectl `x`\n```"])))
    assert "### By hand\n\n````shell\nkubectl -n shop describe pod web-1\nkubectl `x`\n```\n````\n" in text
