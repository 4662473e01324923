# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Hostile texts in messages, what failures are called, and how a reminder is worded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.notification import outcome, reminder
from ansible_collections.aiops.k8s.plugins.module_utils.notification.message import Message, message
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples

NASTY = "a\r\nBcc: x@y \x1b[31m\u202e\ud800\x00 <!channel> <https://e|t> & @Channel @here @everyone @all"


@pytest.mark.parametrize("text", [NASTY, "", None, 7, "x" * 10_000, {"a": 1}, [NASTY]])
def test_a_title_is_one_line_with_a_limit(text: Any) -> None:
    title = message(text, "", "info", {}).title
    assert title.isprintable() and len(title) <= 150


@pytest.mark.parametrize("text", [NASTY, [NASTY, None, 3], "", None, 7, "x" * 100_000, ["line"] * 10_000, {"a": 1}])
def test_lines_are_printable_and_limited_everywhere(text: Any) -> None:
    one = message(NASTY, text, "info", {"fact": NASTY, "list": [NASTY]})
    assert all(line.isprintable() and len(line) <= 1000 for line in one.lines) and len(one.lines) <= 201
    assert len(one.slack()) <= 3600
    json.dumps(one.document()).encode()
    one.plain().encode()


def test_slack_gets_neither_mentions_nor_links_nor_mark_up() -> None:
    text = message("<!here>", NASTY, "info", {"who": "<@U1>"}).slack()
    assert text.startswith("*&lt;!here&gt;*\n") and "<" not in text and "who: &lt;@U1&gt;" in text
    assert "&amp; @\u200bChannel @\u200bhere @\u200beveryone @\u200ball" in text
    assert "ann@allied.test" in message("", "ann@allied.test", "info", {}).slack()


def test_a_webhook_gets_texts_that_call_nobody_and_facts_as_they_are() -> None:
    body = message("<!here> @here", "<!here>", "info", {"title": "<!here> @here"}).document()
    assert (body["title"], body["text"], body["facts"]["title"]) == ("<\u200b!here> @\u200bhere", "<\u200b!here>", "<!here> @here")


def test_a_message_too_long_for_slack_ends_with_whole_lines() -> None:
    text = message("t", [f"{number} {'&' * 50}" for number in range(100)], "info", {}).slack()
    kept = text.split("\n")
    assert kept[-1] == f"... ({101 - (len(kept) - 1)} more lines)" and all(line.endswith("&amp;" * 50) for line in kept[1:-1])


@pytest.mark.parametrize(("given", "kept"), [("critical", "critical"), ("fatal", "info"), (None, "info"), ({}, "info")])
def test_severities(given: Any, kept: str) -> None:
    assert message("t", "", given, {}).severity == kept


def test_facts_keep_their_types_and_have_limits() -> None:
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    facts = message("t", "", "info", {"n": 1, "f": 0.5, "t": True, "none": None, "many": list(range(1000)), **deep}).facts
    assert (facts["n"], facts["f"], facts["t"], facts["none"], len(facts["many"])) == (1, 0.5, True, None, 200)
    assert isinstance(facts["a"]["b"]["c"]["d"], str)
    assert message("t", "", "info", "no mapping").facts == {}


def test_facts_stand_below_the_text() -> None:
    assert Message("t", ("first",), facts={"a": 1, "b": [1]}).plain() == "first\n\na: 1"
    assert Message("t", ("first",)).plain() == "first"


URL, TOKEN = "https://hooks.test/s3cr3t", "T0/B0/s3cr3t"


@pytest.mark.parametrize(
    ("module", "result", "says"),
    [
        ("ansible.builtin.uri", {"status": 204}, ""),
        ("ansible.builtin.uri", {"failed": True, "msg": f"Status code was 503 and not [200]: {URL}"}, "it answered with HTTP status 503"),
        (
            "ansible.builtin.uri",
            {"failed": True, "msg": "Status code was -1 and not [200]: <urlopen error [Errno 111] Connection refused>"},
            "the connection was refused",
        ),
        ("ansible.builtin.uri", {"failed": True, "msg": f"Status code was -1: timed out {URL}"}, "it did not answer in time"),
        ("community.general.slack", {"msg": "OK"}, ""),
        (
            "community.general.slack",
            {"failed": True, "msg": f" failed to send {{}} to {TOKEN}: HTTP Error 404: Not Found"},
            "it answered with HTTP status 404",
        ),
        ("community.general.slack", {"failed": True, "msg": "Slack API error", "error": "channel_not_found"}, "Slack says channel_not_found"),
        ("community.general.mail", {"msg": "Mail sent successfully", "result": {}}, ""),
        ("community.general.mail", {"msg": "Failed to send mail to at least one recipient", "result": {"a": 1}}, "it refused at least one recipient"),
        ("community.general.mail", {"failed": True, "msg": "Failed to send mail to 'a@b': (554, b'no')"}, "it refused the mail with SMTP status 554"),
        ("community.general.mail", {"failed": True, "msg": "Authentication to h:25 failed, please check"}, "it refused the username or password"),
        (
            "community.general.mail",
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "socket.gaierror: [Errno -2]"},
            "its host name does not resolve",
        ),
    ],
)
def test_reasons(module: str, result: dict[str, Any], says: str) -> None:
    assert outcome.judge(module, result) == says


@pytest.mark.parametrize("text", [f"odd {URL}", TOKEN, "", "password s3cr3t"])
def test_what_is_not_known_is_kept_back(text: str) -> None:
    says = outcome.judge("ansible.builtin.uri", {"failed": True, "msg": text})
    assert says.startswith("ansible.builtin.uri failed in a way that is not known here") and "s3cr3t" not in says


def waiting(number: int, overdue: bool, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{number:04d}",
        "group": "waiting",
        "risk": "medium",
        "title": "OOMKilled in deployment/web in namespace shop",
        "digest": "0a1b2c3d" * 8,
        "overdue": overdue,
        "waiting_seconds": 4500.0 if overdue else 600.0,
        "overdue_seconds": 900.0 if overdue else 0.0,
        "sla_minutes": 60,
        "due": "2026-11-21T13:00:00.000Z",
        "expires": "2026-11-21T20:00:00.000Z",
        **more,
    }


PLACE = {"records_dir": "/records", "host": "desk"}


def compose(rows: list[dict[str, Any]], only: str = "overdue") -> dict[str, Any]:
    return reminder.compose(rows, only, lambda identifier: f"approve {identifier}", PLACE)


@pytest.mark.parametrize(
    ("late", "early", "only", "title"),
    [
        (0, 1, "overdue", "0 proposals wait for a decision"),
        (1, 1, "overdue", "1 proposal waits for a decision past its SLA"),
        (2, 1, "overdue", "2 proposals wait for a decision past their SLA"),
        (0, 1, "waiting", "1 proposal waits for a decision"),
        (1, 1, "waiting", "2 proposals wait for a decision, 1 past its SLA"),
        (2, 2, "waiting", "4 proposals wait for a decision, 2 past their SLA"),
    ],
)
def test_the_title_of_a_reminder(late: int, early: int, only: str, title: str) -> None:
    found = compose([*(waiting(number, False) for number in range(early)), *(waiting(10 + number, True) for number in range(late))], only)
    assert found["title"] == title and found["count"] == (late if only == "overdue" else late + early)
    assert found["severity"] == ("warning" if late else "info")


def test_the_text_of_a_reminder() -> None:
    found = compose(
        [waiting(2, False), waiting(1, True, risk="critical"), {"id": "0003", "group": "damaged"}, {"id": "0004", "group": "ended"}], "waiting"
    )
    assert found["text"] == [
        "0001  critical  OOMKilled in deployment/web in namespace shop",
        "waits 75 min; decision due 15 min ago, at 2026-11-21T13:00Z; possible until 2026-11-21T20:00Z; digest 0a1b2c3d",
        "approve 0001",
        "",
        "0002  medium  OOMKilled in deployment/web in namespace shop",
        "waits 10 min; decision due in 50 min, at 2026-11-21T13:00Z; possible until 2026-11-21T20:00Z; digest 0a1b2c3d",
        "approve 0002",
        "",
        "Records that do not verify, so that nobody knows whether they wait: 0003.",
    ]
    assert found["severity"] == "critical" and {**found["facts"], "proposals": []} == {**PLACE, "waiting": 2, "overdue": 1, "proposals": []}


def test_a_title_cannot_pretend_to_be_a_command() -> None:
    text = compose([waiting(1, True, title="x\nansible-playbook evil.yml\u2028y" + "z" * 500)])["text"]
    assert len(text) == 4 and text[0].isprintable() and len(text[0]) == 200


def test_many_proposals_are_counted() -> None:
    found = compose([waiting(number, True) for number in range(500)])
    assert found["count"] == 500 and len(found["facts"]["proposals"]) == 20 and len(found["text"]) == 81
    assert found["text"][-1] == "... and 480 more: ansible-playbook aiops.k8s.records -e state=overdue -e records_dir=/records"


def test_only_what_can_be_asked_for() -> None:
    with pytest.raises(BadInput, match="remind_only is 'all'"):
        compose([], "all")


def test_the_command_names_the_directory_as_a_whole(tmp_path: Any) -> None:
    record = samples.proposed(Directory(str(tmp_path), "004"), options={"records_dir": "history/prompts", "context": "a b"})
    command = reminder.approve_command(record, "/srv/ops")
    assert command.startswith("ansible-playbook aiops.k8s.approve -e record=0001 ") and command.endswith(
        f" -e decision=approve -e digest={record.digest[:8]}"
    )
    assert " -e records_dir=/srv/ops " in command and """ -e '{"context": "a b"}' """ in command and "history" not in command
    assert record.proposal["options"]["records_dir"] == "history/prompts"
