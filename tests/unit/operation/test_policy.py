# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Policies: what is checked on load, when a freeze holds, where rules are read from, and the document made of them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import policy, rules, workflow_document
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS

from tests.unit.operation import samples

WEEKEND = {"rrule": "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16;BYMINUTE=0;BYSECOND=0", "hours": 64, "timezone": "Europe/Berlin", "reason": "weekend"}
HOLIDAYS = {"from": "2026-12-20T00:00:00Z", "until": "2027-01-02T00:00:00Z"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(timezone.utc)


BAD: list[tuple[str, Any, str]] = [
    ("no mapping", ["medium"], "policy is not a mapping."),
    ("unknown class", {"high": {}}, "policy.high is not a risk class with settings. The classes are low, medium, critical."),
    ("class without settings", {"low": 5}, "policy.low is not a risk class with settings."),
    ("unknown setting", {"low": {"sla": 5}}, "policy.low.sla is not a setting. The settings are sla_minutes"),
    ("zero minutes", {"low": {"sla_minutes": 0}}, "policy.low.sla_minutes is 0; it must be a whole number of minutes above 0"),
    ("a proof nobody knows", {"low": {"proof": "honour"}}, "policy.low.proof is 'honour'; it must be one of os_user, cluster_user, signature"),
    ("a name for a list", {"low": {"approver_groups": "ops"}}, "policy.low.approver_groups is 'ops'; it must be a list of names"),
    ("an empty name", {"low": {"approvers": [" "]}}, "policy.low.approvers is [' ']; it must be a list of names"),
    ("groups of signers", {"low": {"proof": "signature", "approver_groups": ["ops"]}}, "policy.low.approver_groups cannot be judged with proof signature"),
    ("no list of windows", {"low": {"freeze": HOLIDAYS}}, "it must be a list of windows"),
    ("a window of nothing", {"low": {"freeze": [{}]}}, "window 1: it needs from and until, or rrule and hours"),
    ("an unknown key", {"low": {"freeze": [HOLIDAYS, {**WEEKEND, "zone": "x"}]}}, "window 2: zone is unknown"),
    ("no time zone", {"low": {"freeze": [{"from": "2026-12-20T00:00:00", "until": "2027-01-02"}]}}, "window 1: from and until need a time zone"),
    ("no time", {"low": {"freeze": [{"from": "soon", "until": "later"}]}}, "window 1: from and until must be times"),
    ("backwards", {"low": {"freeze": [{"from": HOLIDAYS["until"], "until": HOLIDAYS["from"]}]}}, "window 1: until must be later than from"),
    ("no rule", {"low": {"freeze": [{**WEEKEND, "rrule": "every friday"}]}}, "window 1: rrule 'every friday' is not a recurrence rule of RFC 5545"),
    ("no such place", {"low": {"freeze": [{**WEEKEND, "timezone": "Mars/Olympus"}]}}, "window 1: the time zone Mars/Olympus is unknown"),
    ("no length", {"low": {"freeze": [{**WEEKEND, "hours": 0}]}}, "window 1: hours must be a number above 0"),
    ("half a window", {"low": {"freeze": [{"rrule": WEEKEND["rrule"]}]}}, "window 1: it needs from and until"),
]


@pytest.mark.parametrize("what, given, message", BAD, ids=[row[0] for row in BAD])
def test_bad_policies_name_the_key(what: str, given: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        policy.policy(given)
    assert message in str(caught.value)


def test_times_as_yaml_reads_them_become_text() -> None:
    given = yaml.safe_load("medium: {freeze: [{from: 2026-12-20, until: 2027-01-02T12:00:00+01:00}]}")
    assert policy.policy(given)["medium"]["freeze"] == [{"from": "2026-12-20T00:00:00.000Z", "until": "2027-01-02T11:00:00.000Z"}]


FROZEN: list[tuple[str, dict[str, str], str, str]] = [
    ("before", HOLIDAYS, "2026-12-19T23:59:59Z", ""),
    ("at its beginning", HOLIDAYS, "2026-12-20T00:00:00Z", "changes of this risk class are frozen until 2027-01-02T00:00:00.000Z"),
    ("at its end", HOLIDAYS, "2027-01-02T00:00:00Z", ""),
    ("Friday before four", WEEKEND, "2026-11-20T15:59:59+01:00", ""),
    ("Friday at four", WEEKEND, "2026-11-20T16:00:00+01:00", "frozen until 2026-11-23T07:00:00.000Z (weekend)"),
    ("Sunday", WEEKEND, "2026-11-22T12:00:00+01:00", "frozen until 2026-11-23T07:00:00.000Z (weekend)"),
    ("Monday at eight", WEEKEND, "2026-11-23T08:00:00+01:00", ""),
    ("in summer time", WEEKEND, "2026-07-03T14:00:00Z", "(weekend)"),
    ("in winter an hour later", WEEKEND, "2026-11-20T14:59:59Z", ""),
]


@pytest.mark.parametrize("what, window, when, expected", FROZEN, ids=[row[0] for row in FROZEN])
def test_freeze_windows(what: str, window: Any, when: str, expected: str) -> None:
    settings = policy.policy({"medium": {"freeze": [window]}})["medium"]
    found = policy.frozen(settings, moment(when))
    assert expected in found and bool(found) is bool(expected)


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rules, "SITE", str(tmp_path / "etc"))
    monkeypatch.delenv(rules.VARIABLE, raising=False)
    for name in ("records", "own"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_without_files_the_defaults_hold(place: Path) -> None:
    found = rules.rules(str(place / "records"))
    assert (found.policies, found.signers, found.revoked) == (None, "", "") and found.for_proposals({}) == DEFAULTS


def test_the_site_rules_before_the_variable_before_the_records(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(name: str) -> str:
        (place / name).mkdir(exist_ok=True)
        (place / name / "allowed_signers").write_text(name, encoding="utf-8")
        return str(place / name)

    assert rules.rules(write("records")).directory == str(place / "records")
    monkeypatch.setenv(rules.VARIABLE, write("own"))
    assert rules.rules(str(place / "records")).signers == str(place / "own" / "allowed_signers")
    write("etc")
    assert rules.rules(str(place / "records")).signers == str(place / "etc" / "allowed_signers")


def test_a_decision_has_to_satisfy_the_plan_and_the_file(place: Path) -> None:
    (place / "records" / "policy.yml").write_text("medium: {four_eyes: true, approval_minutes: 5}\n", encoding="utf-8")
    found = rules.rules(str(place / "records"))
    lax = samples.plan(policies={"medium": {"approvers": ["ann"]}})
    asked = found.of(lax)
    assert [one["four_eyes"] for one in asked] == [False, True] and asked[0]["approvers"] == ["ann"]
    assert found.for_proposals({"medium": {"sla_minutes": 7}})["medium"] == {**DEFAULTS["medium"], "four_eyes": True, "approval_minutes": 5, "sla_minutes": 7}


BAD_FILES: list[tuple[str, str, int, str]] = [
    ("no YAML", "a: [", 0o644, "policy.yml is not YAML"),
    ("a list", "- a", 0o644, "policy.yml is not a mapping of risk classes"),
    ("a bad key", "medium: {sla: 1}", 0o644, "policy.yml.medium.sla is not a setting"),
    ("everybody's", "medium: {}", 0o666, "policy.yml may be written by anyone, so it cannot say who may approve. chmod o-w"),
]


@pytest.mark.parametrize("what, text, mode, message", BAD_FILES, ids=[row[0] for row in BAD_FILES])
def test_bad_policy_files(place: Path, what: str, text: str, mode: int, message: str) -> None:
    file = place / "records" / "policy.yml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(BadInput) as caught:
        rules.rules(str(place / "records"))
    assert message in str(caught.value)


def test_a_variable_that_names_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rules.VARIABLE, str(place / "nowhere"))
    with pytest.raises(BadInput, match="AIOPS_K8S_POLICY_DIR is .*nowhere, which is no directory"):
        rules.rules(str(place / "records"))


def test_the_document_has_the_service_levels_of_every_class() -> None:
    policies = policy.policy({"critical": {"proof": "signature", "approvers": ["ann|x"], "freeze": [WEEKEND]}})
    text = workflow_document.render(policies, "`policy.yml`")
    assert "| decision due within (SLA) | 4 h | 60 min | 30 min |" in text and "ann\\|x" in text and "weekend" in text
    assert all(f"`{name}`" in text for name in policy.SETTINGS)


def test_the_example_document_is_what_the_example_policy_gives() -> None:
    examples = Path(__file__).resolve().parents[3] / "docs" / "examples"
    policies = policy.policy(yaml.safe_load((examples / "policy.yml").read_text(encoding="utf-8")))
    assert (examples / "approval-workflow.md").read_text(encoding="utf-8") == workflow_document.render(policies, "`policy.yml`")
