# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Policy, digest and clock: small functions over plain values."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical, digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS, RISKS, policy

NAMES = "sla_minutes, plan_minutes, approval_minutes, four_eyes, proof, approvers, approver_groups, freeze"


@pytest.mark.parametrize("overrides", [None, {}, {"low": {}}])
def test_defaults_are_copies(overrides: Any) -> None:
    merged = policy(overrides)
    assert merged == DEFAULTS and tuple(merged) == RISKS
    merged["low"]["sla_minutes"] = 1
    assert DEFAULTS["low"]["sla_minutes"] == 240


def test_defaults_tighten_with_the_risk() -> None:
    for key in ("sla_minutes", "plan_minutes", "approval_minutes"):
        values = [DEFAULTS[risk][key] for risk in RISKS]
        assert values == sorted(values, reverse=True)
    assert [DEFAULTS[risk]["four_eyes"] for risk in RISKS] == [False, False, True]


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    merged = policy({"critical": {"four_eyes": False, "approvers": ["ann"]}, "low": {"sla_minutes": 5}})
    assert merged["critical"] == {**DEFAULTS["critical"], "four_eyes": False, "approvers": ["ann"]}
    assert merged["low"] == {**DEFAULTS["low"], "sla_minutes": 5} and merged["medium"] == DEFAULTS["medium"]


BAD_POLICIES: list[tuple[Any, str]] = [
    ({"high": {}}, "policy.high is not a risk class with settings. The classes are low, medium, critical."),
    ({"low": 5}, "policy.low is not a risk class with settings."),
    ({"low": None}, "policy.low is not a risk class with settings."),
    ({"low": {"sla": 5}}, f"policy.low.sla is not a setting. The settings are {NAMES}."),
    ({"low": {"sla_minutes": "5"}}, "policy.low.sla_minutes is '5'; it must be a whole number of minutes above 0."),
    ({"low": {"sla_minutes": 0}}, "policy.low.sla_minutes is 0;"),
    ({"low": {"plan_minutes": -5}}, "policy.low.plan_minutes is -5;"),
    ({"low": {"approval_minutes": 1.5}}, "policy.low.approval_minutes is 1.5;"),
    ({"low": {"approval_minutes": True}}, "policy.low.approval_minutes is True;"),
    ({"critical": {"four_eyes": "no"}}, "policy.critical.four_eyes is 'no'; it must be true or false."),
    ({"critical": {"four_eyes": 0}}, "policy.critical.four_eyes is 0;"),
    ({"medium": {"approvers": "ann"}}, "policy.medium.approvers is 'ann'; it must be a list of names."),
    ({"medium": {"approvers": [1]}}, "policy.medium.approvers is [1];"),
    ({"medium": {"approvers": [""]}}, "policy.medium.approvers is [''];"),
]


@pytest.mark.parametrize("overrides, message", BAD_POLICIES, ids=[row[1][:40] for row in BAD_POLICIES])
def test_bad_policies_are_refused_by_key(overrides: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        policy(overrides)
    assert str(caught.value).startswith(message)


# RFC 8785, 3.2.2 and 3.2.3 and Appendix B
NUMBERS: list[tuple[float, str]] = [
    (0.0, "0"),
    (-0.0, "0"),
    (5e-324, "5e-324"),
    (-5e-324, "-5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (9007199254740991, "9007199254740991"),
    (295147905179352830000.0, "295147905179352830000"),
    (9.999999999999997e22, "9.999999999999997e+22"),
    (1e23, "1e+23"),
    (1.0000000000000001e23, "1.0000000000000001e+23"),
    (999999999999999700000.0, "999999999999999700000"),
    (999999999999999900000.0, "999999999999999900000"),
    (1e21, "1e+21"),
    (9.999999999999997e-7, "9.999999999999997e-7"),
    (0.000001, "0.000001"),
    (333333333.3333332, "333333333.3333332"),
    (333333333.33333325, "333333333.33333325"),
    (4.5, "4.5"),
    (2e-3, "0.002"),
    (1e-27, "1e-27"),
    (1.0, "1"),
]
EXAMPLE = {
    "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": '\u20ac$\u000f\nA\'B"\\\\"/',
    "literals": [None, True, False],
}
EXPECTED = '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
SORTED = {"\u20ac": "Euro Sign", "\r": "CR", "\ufb33": "Dalet", "1": "One", "\U0001f600": "Smile", "\u0080": "Control", "\u00f6": "o"}


@pytest.mark.parametrize("number, text", NUMBERS, ids=[row[1] for row in NUMBERS])
def test_numbers_of_rfc_8785(number: float, text: str) -> None:
    assert canonical(number) == text.encode()


def test_documents_of_rfc_8785() -> None:
    assert canonical(EXAMPLE) == EXPECTED.encode()
    values = ["CR", "One", "Control", "o", "Euro Sign", "Smile", "Dalet"]  # by UTF-16 units, so that the smile comes before U+FB33
    positions = [canonical(SORTED).index(f'"{value}"'.encode()) for value in values]
    assert positions == sorted(positions)


def test_the_digest_is_sha_256_of_the_canonical_form() -> None:
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()
    assert digest({"a": 1}) != digest({"a": "1"}) != digest({"a": True})


@pytest.mark.parametrize("document", [float("nan"), float("inf"), 2**53, -(2**53), {1: 2}, b"x", "\ud800", {"a": [object()]}], ids=repr)
def test_what_has_no_canonical_form_is_bad_input(document: Any) -> None:
    with pytest.raises(BadInput, match="The document has no canonical JSON form: "):
        digest(document)


@pytest.mark.parametrize(
    "moment, text",
    [
        (datetime(2026, 1, 2, 3, 4, 5, 6_789, timezone.utc), "2026-01-02T03:04:05.006Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, timezone.utc), "2026-01-02T03:04:05.999Z"),
        (datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2025-12-31T23:00:00.000Z"),
    ],
)
def test_stamp(moment: datetime, text: str) -> None:
    assert clock.stamp(moment) == text


@pytest.mark.parametrize("text", ["2026-11-21T12:00:05Z", "2026-11-21T12:00:05.000Z", "2026-11-21T12:00:05.000000000Z", "2026-11-21T14:00:05+02:00"])
def test_parse_reads_what_servers_and_records_write(text: str) -> None:
    assert clock.stamp(clock.parse(text)) == "2026-11-21T12:00:05.000Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_parse_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError):
        clock.parse(text)


def test_later_and_between() -> None:
    assert clock.later("2026-12-31T23:59:00.500Z", minutes=1) == "2027-01-01T00:00:00.500Z"
    assert clock.seconds_between("2026-11-21T12:00:05Z", "2026-11-21T12:01:05.25Z") == 60.25
    assert clock.stamp(clock.now()).endswith("Z") and clock.now().tzinfo is timezone.utc


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (120, "2 min"),
        (3600, "60 min"),
        (5399, "1 h 30 min"),
        (7500, "2 h 5 min"),
        (90000, "25 h"),
    ],
)
def test_span(seconds: float, text: str) -> None:
    assert clock.span(seconds) == text
