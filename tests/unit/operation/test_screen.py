# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a person sees: everything that is decided upon, within the width, and nothing that drives the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans, screen

from tests.unit.operation import samples

WIDTHS = (100, 80, 60)
NASTY = "\x1b[31mred\x1b[0m \x1b]0;title\x07 a\rb\x08c \u202eevil \u200bx\x00 " + "long" * 60 + " " + "word " * 40
COLOURS = {"", "red", "yellow", "green", "blue", "bright cyan", "dark gray"}


def opinion(**more: Any) -> dict[str, Any]:
    return {
        "engine": "kubectl-ai",
        "model": "m",
        "outcome": "answered",
        "agrees": True,
        "duration_seconds": 1.5,
        "root_cause": "memory",
        "reason": "",
        **more,
    }


def document(text: str = "fine", **more: Any) -> dict[str, Any]:
    """A proposal with this text wherever a text can stand."""
    plan = {**samples.plan(), "summary": text, "undo": text, "notes": [text, "n"], "risk_reasons": [text]}
    plan["changes"] = [
        {
            **samples.plan()["changes"][0],
            "outcome": [{"path": f"spec.{text}", "before": text, "after": {"k": text}}, {"path": "spec.x", "before": None, "after": ""}],
        },
        plans.delete_change("C2", samples.pod("web-" + "1" * 120), text),
    ]
    finding = samples.finding(title=text, root_cause=text, suggested_fix=text, evidence=["E1", "E1000000000"])
    evidence = [
        {"id": "E1", "source": text, "time": "2026-11-21T12:00:00Z", "excerpt": text},
        {"id": "E1000000000", "source": "s", "time": "", "excerpt": "a\nb\nc\nd\ne"},
    ]
    opinions = [opinion(root_cause=text), opinion(agrees=False), opinion(engine=text[:30], agrees=None, outcome="timeout", reason=text)]
    return {**samples.payload(plan, title=text, findings=[finding], evidence=evidence, opinions=opinions, not_chosen=[text, "b"]), **more}


def texts(lines: list[screen.Line]) -> list[str]:
    return [text for text, _colour in lines]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("text", ["fine", NASTY, "", "名前" * 40], ids=["fine", "nasty", "empty", "wide"])
def test_a_proposal_keeps_to_the_width_and_is_printable(width: int, text: str) -> None:
    for identifier, advice in (("0001", False), ("", True)):
        found = document(text, **({"plan": None, "no_plan_reason": text} if advice else {}))
        lines = screen.proposal(found, identifier, "0a1b2c3d" * 8, width)
        assert [line for line in texts(lines) if len(line) > width] == []
        assert all(line.isprintable() for line in texts(lines))
        assert {colour for _text, colour in lines} <= COLOURS


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_keeps_to_the_width_and_is_printable(width: int) -> None:
    row = {"id": "0001", "state": "rolling_back", "risk": "critical", "age_seconds": 10**7, "title": NASTY, "remark": "expired"}
    lines = screen.table([row, {**row, "state": "damaged", "risk": "", "title": "x"}], width)
    assert all(len(text) <= width and text.isprintable() for text in texts(lines))
    assert texts(lines)[0] == "record state        risk             age  title"
    assert lines[2] == ("0001   damaged      -        2777 h 47 min  (expired) x"[:width], "red")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_last_lines_keep_to_the_width_except_what_is_copied(width: int) -> None:
    path, command = (
        "/records/" + "p" * 150,
        "ansible-playbook aiops.k8s.approve -e record=0001 -e 'x=" + "y" * 150 + "' -e decision=approve -e digest=0a1b2c3d",
    )
    lines = texts(screen.outcome("0001", "proposed", NASTY, path, command, width))
    assert lines[-3:] == [
        f"          PHR: {path}",
        f"          next: {command}",
        "          then: ansible-playbook aiops.k8s.execute -e record=0001 -e 'x=" + "y" * 150 + "'",
    ]
    assert all(len(line) <= width and line.isprintable() for line in lines[:-3])
    assert lines[0].startswith("0001      proposed: ")


def test_control_characters_in_what_is_copied_do_not_come_through() -> None:
    assert all(text.isprintable() for text in texts(screen.outcome("0001", "closed", "", "/a\x1b[2Jb", "run \x07", 80)))


@pytest.mark.parametrize(
    "state, colour, then",
    [
        ("proposed", "bright cyan", True),
        ("approved", "bright cyan", False),
        ("closed", "green", False),
        ("validated", "green", False),
        ("failed", "red", False),
        ("rolled_back", "red", False),
        ("rejected", "yellow", False),
        ("expired", "yellow", False),
    ],
)
def test_the_colour_of_a_state(state: str, colour: str, then: bool) -> None:
    lines = screen.outcome("0001", state, "", "p", "ansible-playbook aiops.k8s.approve -e decision=approve", 80)
    assert lines[0] == (f"0001      {state}", colour) and (len(lines) == 4) is then
    assert len(screen.outcome("0001", state, "", "p", "", 80)) == 2


def test_everything_that_is_decided_upon_is_there() -> None:
    lines = texts(
        screen.proposal({**samples.payload(samples.plan()), "opinions": [opinion(), opinion(agrees=False, root_cause="disk")]}, "0001", "0a1b2c3d" * 8, 100)
    )
    shown = "\n".join(lines)
    for part in (
        "--- 0001  OOMKilled in deployment/web in namespace shop ---",
        "CRITICAL  OOMKilled: container app needs more than its memory limit of 64Mi",
        "cause     The kernel killed container app.",
        "fix       Raise the memory limit.",
        "E1        pod/web-1 status at 2026-11-21T11:59:00Z",
        "          | reason OOMKilled, exit code 137",
        "kubectl-ai agrees (m, 1.5 s): memory",
        "kubectl-ai DISAGREES (m, 1.5 s): disk",
        "CHANGE    raise the memory limit of container app from 64Mi to 128Mi",
        "          patch deployment/web in namespace shop",
        "            spec.template.spec.containers[app].resources.limits.memory:",
        "          -   64Mi",
        "          +   128Mi",
        "          (computed locally; not rehearsed by the API server)",
        "risk      medium: starts a rolling update",
        "undo      the limit is set back to 64Mi",
        "proof     the status of the failing pods",
        "digest    0a1b2c3d (decide by 2026-11-21T20:00:00.000Z)",
    ):
        assert part in shown, part


def test_an_empty_value_is_shown_as_one() -> None:
    assert '          +   ""' in texts(screen.proposal(document(), "0001", "d" * 64, 100))


def test_long_evidence_is_cut_to_four_lines() -> None:
    lines = texts(screen.proposal(document(), "0001", "d" * 64, 100))
    assert [line.strip() for line in lines if line.strip() in ("| a", "| b", "| c", "| d", "| e")] == ["| a", "| b", "| c", "| d"]


def test_advice() -> None:
    lines = screen.proposal(samples.payload(None), "0001", "", 100)
    assert lines[-1] == ("no change a person has to decide.", "yellow") and not [text for text in texts(lines) if text.startswith("digest")]


def test_the_question() -> None:
    asked = screen.question("0001", "0a1b2c3d" * 8)
    assert asked.startswith("Record 0001: type  approve 0a1b2c3d  or  reject REASON") and "anything else leaves it proposed" in asked
    assert all(len(line) <= min(WIDTHS) for line in asked.splitlines())


@pytest.mark.parametrize("text, shown", [("a\x1b[31mb", "a [31mb"), ("tab\there", "tab here"), ("x\u202ey\u2028z", "x y z"), ("ünïcode 🦊", "ünïcode 🦊")])
def test_printable(text: str, shown: str) -> None:
    assert screen.printable(text) == shown


def test_commands_by_hand_are_not_wrapped() -> None:
    line = "kubectl -n shop get events --field-selector involvedObject.name=web --sort-by=.lastTimestamp \x1b[31m"
    shown = [text for text, _colour in screen.proposal(samples.payload(None, by_hand=[line]), "0001", "", 60)]
    assert f"by hand   {screen.printable(line)}" in shown


def test_what_was_seen_before() -> None:
    before = [{"id": "0003", "state": "rolled_back", "time": "2026-11-20T10:00:00.000Z", "what": "raise the limit: did not work, undone"}]
    shown = [text for text, _colour in screen.proposal(samples.payload(samples.plan(), earlier=before), "0004", "", 100)]
    assert "before    0003 (2026-11-20 10:00): raise the limit: did not work, undone" in shown


def test_what_is_on_record_already() -> None:
    shown = screen.repeated("0007", "waits", "ansible-playbook aiops.k8s.approve -e record=0007", 40)
    assert [text for text, _colour in shown][0] == "again     not recorded once more: record" and shown[-1][0].endswith("approve -e record=0007")
    assert len(screen.repeated("0007", "gave the same advice", "", 100)) == 1
