# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reminders and the role notify, against real servers: what arrives, what is said when it does not, and that no secret gets out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.integration import receivers
from tests.integration.support import FEATURE, Ansible, Run, result_of
from tests.unit.operation import samples

HOSTILE = "OOMKilled <!channel> <https://evil.test|click> & @here \u202e\x1b[31m in deployment/web\nBcc: victim@evil.test"
SECRET = "s3cr3t"  # part of everything that must not be shown
REFUSED = "http://127.0.0.1:1/"


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ansible:
    """With two proposals past their SLA, one within, one approved."""
    monkeypatch.chdir(tmp_path)
    runner = Ansible(tmp_path)
    runner.options.pop("ai")
    store = Directory(runner.options["records_dir"], FEATURE)
    real = clock.now
    for minutes, risk, title, state in (
        (75, "medium", HOSTILE, "proposed"),
        (45, "critical", "AppCrash in deployment/dns in namespace kube-system", "proposed"),
        (5, "medium", "OOMKilled in deployment/young in namespace shop", "proposed"),
        (5, "medium", "OOMKilled in deployment/old in namespace shop", "approved"),
    ):
        moment = real() - timedelta(minutes=minutes)
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        record = samples.proposed(store, samples.plan(created=moment, risk=risk), title=title)
        if state == "approved":
            expires = clock.later(clock.stamp(moment), minutes=60)
            store.append(record, state, {**samples.PAYLOADS[state], "digest": record.digest, "expires": expires})
    monkeypatch.setattr(clock, "now", real)
    return runner


@pytest.fixture
def web() -> Iterator[receivers.Received]:
    with receivers.http_server() as received:
        yield received


def channels(ansible: Ansible, *given: Any) -> list[str]:
    path = ansible.directory / "channels.yml"
    path.write_text(json.dumps({"notify_channels": list(given)}), encoding="utf-8")
    path.chmod(0o600)
    return ["-e", f"@{path}"]


def remind(ansible: Ansible, *given: Any, more: Sequence[str] = (), variables: dict[str, str] | None = None, **options: Any) -> Run:
    return ansible("remind", [*channels(ansible, *given), *more], variables, result_file=str(ansible.directory / "result.json"), **options)


def notifications(ansible: Ansible) -> dict[str, tuple[bool, str]]:
    """{channel: (whether it was sent, why not)} from the result document."""
    return {one["channel"]: (one["ok"], one["reason"]) for one in result_of(ansible.directory / "result.json")["notifications"]}


def contents(ansible: Ansible) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in ansible.records.iterdir()}


def test_a_webhook_gets_one_message_with_what_is_past_its_sla(ansible: Ansible, web: receivers.Received) -> None:
    before = contents(ansible)
    run = remind(ansible, {"type": "webhook", "name": "hook", "url": web.url("/204"), "headers": {"Authorization": f"Bearer {SECRET}"}}).ok()
    assert contents(ansible) == before, "a reminder writes no event"
    [(path, headers, body)] = web.requests
    assert path == "/204" and headers["authorization"] == f"Bearer {SECRET}"
    assert (body["title"], body["severity"]) == ("2 proposals wait for a decision past their SLA", "critical")
    told = body["facts"]["proposals"]
    assert [one["id"] for one in told] == ["0001", "0002"] and told[0]["overdue_seconds"] > 14 * 60
    command = told[1]["approve"]
    assert command in body["text"].splitlines()
    assert f"-e record=0002 -e records_dir={ansible.options['records_dir']} -e decision=approve -e digest={told[1]['digest']}" in command
    assert not any(text in body["text"] for text in ("<!channel>", "@here", "\x1b", "\u202e", "\nBcc"))
    assert notifications(ansible) == {"hook": (True, "")}
    assert "hook (webhook): sent" in run.output and SECRET not in run.output


def test_everything_that_waits(ansible: Ansible, web: receivers.Received) -> None:
    remind(ansible, {"type": "webhook", "url": web.url("/204")}, remind_only="waiting").ok()
    body = web.requests[0][2]
    assert body["title"] == "3 proposals wait for a decision, 2 past their SLA"
    assert [one["id"] for one in body["facts"]["proposals"]] == ["0001", "0002", "0003"]
    remind(ansible, {"type": "webhook", "url": web.url("/204")}, remind_only="all").refused(
        "value of only must be one of: overdue, waiting, got: all"
    )


def test_the_command_of_the_message_approves(ansible: Ansible, web: receivers.Received) -> None:
    remind(ansible, {"type": "webhook", "url": web.url("/204")}).ok()
    command = web.requests[0][2]["facts"]["proposals"][0]["approve"]
    ansible.run(["bash", "-c", f"cd / && {command}"])
    assert ansible.state("0001") == "approved"


def test_nothing_to_say(tmp_path: Path, web: receivers.Received) -> None:
    runner = Ansible(tmp_path)
    run = remind(runner, {"type": "webhook", "url": web.url("/204")}).ok()
    assert "nothing was sent: 0 waiting, 0 unfinished, 0 ended" in run.output
    assert web.requests == [] and notifications(runner) == {}


def test_mail(ansible: Ansible, tmp_path: Path) -> None:
    context, _trusted = receivers.certificate(tmp_path)
    login = {"username": "ops", "password": f"{SECRET}-right"}
    with receivers.smtp_server(context) as smtp:
        common = {"type": "mail", "host": "127.0.0.1", "port": smtp.port, "from": "aiops <aiops@example.test>", "to": "ops@example.test"}
        run = remind(
            ansible,
            {**common, **login, "name": "starttls"},
            {**common, "name": "no login", "to": ["ops@example.test", "second@example.test"], "secure": "never"},
            {**common, **login, "name": "wrong password", "password": f"{SECRET}-wrong"},
            {**common, "name": "wrong person", "to": "nobody@example.test"},
            more=["-vvv"],
        ).ok()
    assert notifications(ansible) == {
        "starttls": (True, ""),
        "no login": (True, ""),
        "wrong password": (False, "it refused the username or password"),
        "wrong person": (False, "it refused the mail with SMTP status 550"),
    }
    assert smtp.logins[0] == ("ops", f"{SECRET}-right") and SECRET not in run.output
    first, second = smtp.mails
    assert first["Subject"] == "2 proposals wait for a decision past their SLA" and first["Bcc"] is None
    assert second["To"] == "ops@example.test, second@example.test"
    text = first.get_body().get_content() if first.get_body() else ""  # type: ignore[union-attr]
    assert "-e decision=approve -e digest=" in text and "\nBcc" not in text and "overdue: 2" in text


def test_no_header_can_be_added_to_a_mail(ansible: Ansible) -> None:
    with receivers.smtp_server() as smtp:
        given = {"type": "mail", "host": "127.0.0.1", "port": smtp.port, "from": "a@example.test", "to": "b@example.test"}
        include(ansible, [given], title="late\r\nBcc: victim@evil.test\r\n\r\nnew body").ok()
    [mail] = smtp.mails
    assert mail["Bcc"] is None and mail["Subject"] == "late  Bcc: victim@evil.test    new body"


def test_slack(ansible: Ansible, tmp_path: Path) -> None:
    context, trusted = receivers.certificate(tmp_path)
    with receivers.slack_proxy(context) as slack:
        run = remind(
            ansible,
            {"type": "slack", "name": "hook", "token": f"https://hooks.slack.com/services/T0/B0/{SECRET}"},
            {"type": "slack", "name": "bot", "token": f"xoxb-{SECRET}-right", "channel": "#ops"},
            {"type": "slack", "name": "wrong bot", "token": f"xoxb-{SECRET}-wrong", "channel": "#ops"},
            more=["-vvv"],
            variables={"https_proxy": slack.url(""), "SSL_CERT_FILE": str(trusted)},
        ).ok()
    assert [path for path, _headers, _body in slack.requests] == [
        f"hooks.slack.com:443/services/T0/B0/{SECRET}",
        "slack.com:443/api/chat.postMessage",
        "slack.com:443/api/chat.postMessage",
    ]
    assert notifications(ansible) == {"hook": (True, ""), "bot": (True, ""), "wrong bot": (False, "Slack says invalid_auth")}
    body = slack.requests[1][2]
    assert (body["channel"], body["link_names"], body["parse"]) == ("#ops", 0, "none")
    assert "OOMKilled &lt;!channel&gt; &lt;https://evil.test|click&gt; &amp; @\u200bhere" in body["text"]
    assert body["text"].startswith("*2 proposals wait for a decision past their SLA*\n") and SECRET not in run.output


def test_channels_that_fail_are_named_and_stop_nothing(ansible: Ansible, web: receivers.Received, tmp_path: Path) -> None:
    context, _trusted = receivers.certificate(tmp_path)
    with receivers.silent_server() as silent, receivers.http_server(context) as tls, Processes() as processes:
        mail = {"type": "mail", "host": "127.0.0.1", "from": "a@example.test", "to": "b@example.test", "username": SECRET, "password": SECRET}
        run = remind(
            ansible,
            {"type": "webhook", "name": "error", "url": web.url(f"/500/{SECRET}")},
            {"type": "webhook", "name": "elsewhere", "url": web.url(f"/302/{SECRET}"), "headers": {"X-Key": SECRET}},
            {"type": "webhook", "name": "dripping", "url": web.url(f"/drip/{SECRET}")},
            {"type": "webhook", "name": "refusing", "url": f"{REFUSED}{SECRET}"},
            {"type": "webhook", "name": "untrusted", "url": tls.url(f"/204/{SECRET}", "https")},
            {"type": "webhook", "name": "not TLS", "url": web.url(f"/204/{SECRET}", "https")},
            {**mail, "name": "refusing mail", "port": 1},
            {**mail, "name": "hanging mail", "port": silent.port, "secure": "try"},
            {"type": "webhook", "name": "good", "url": web.url("/204")},
            more=["-vvv"],
        ).ok()
    assert notifications(ansible) == {
        "error": (False, "it answered with HTTP status 500"),
        "elsewhere": (False, "it answered with HTTP status 302"),
        "dripping": (False, "it did not answer within 10 s"),
        "refusing": (False, "the connection was refused"),
        "untrusted": (False, "its TLS certificate does not verify"),
        "not TLS": (False, "no TLS connection could be made"),
        "refusing mail": (False, "the connection was refused"),
        "hanging mail": (False, "it did not answer within 10 s"),
        "good": (True, ""),
    }
    assert "not sent to error: it answered with HTTP status 500" in " ".join(run.output.split()) and "good (webhook): sent" in run.output
    assert run.seconds < 60 and web.requests[-1][0] == "/204" and not tls.requests
    assert SECRET not in run.output, [line for line in run.output.splitlines() if SECRET in line]
    assert not processes.with_secret and processes.modules, "no command line holds a secret, and modules were seen"
    assert processes.left() == [] and run.left == [], "nothing runs on, and no file stays behind"


class Processes:
    """Looks at the command lines of all processes while the body runs."""

    def __enter__(self) -> Processes:
        self.with_secret: set[str] = set()
        self.modules: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            for line in command_lines():
                if SECRET in line:
                    self.with_secret.add(line)
                if "AnsiballZ_uri" in line or "AnsiballZ_mail" in line:
                    self.modules.add(line)

    def left(self) -> list[str]:
        """Modules of ours that still run."""
        return [line for line in command_lines() if line in self.modules]


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


FAULTS = {
    "unknown type": ({"type": "pager", "url": SECRET}, "notify_channels[2] has an unknown type; the types are webhook, slack, mail"),
    "misspelt": ({"type": "mail", "name": "ops", "pasword": SECRET}, "notify_channels[2] (ops) has the unknown key pasword"),
    "two lines": ({"type": "mail", "host": "h", "to": f"a@b\nBcc: {SECRET}", "from": "c@d"}, "notify_channels[2]: to must be an address"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_definition_is_an_error_before_anything_is_sent(ansible: Ansible, web: receivers.Received, name: str) -> None:
    given, says = FAULTS[name]
    run = remind(ansible, {"type": "webhook", "url": web.url("/204")}, given, more=["-vvv"]).refused(says, "nothing was sent")
    assert web.requests == [] and SECRET not in run.output
    assert says in result_of(ansible.directory / "result.json")["error"]


def test_without_channels(ansible: Ansible) -> None:
    ansible("remind").refused("notify_channels is empty")


def test_a_variable_that_is_not_defined_shows_no_lines_of_the_file(ansible: Ansible, web: receivers.Received) -> None:
    hidden = {"Authorization": "{{ vaulted_token }}", "X-Key": SECRET}
    run = remind(ansible, {"type": "webhook", "url": web.url(f"/{SECRET}"), "headers": hidden}, more=["-vvv"])
    run.refused("notify_channels cannot be evaluated: vaulted_token is not defined")
    assert SECRET not in run.output and web.requests == []


def test_a_damaged_record_is_told_and_fails_afterwards(ansible: Ansible, web: receivers.Received) -> None:
    (ansible.records / "0003.jsonl").write_text("{}\n", encoding="utf-8")
    remind(ansible, {"type": "webhook", "url": web.url("/204")}).refused("Records that do not verify: 0003")
    assert "nobody knows whether they wait: 0003" in web.requests[0][2]["text"]
    assert result_of(ansible.directory / "result.json")["notifications"][0]["ok"] is True


# --- the role, included by a playbook that has other things to do ---------------------------------------------------------


def include(ansible: Ansible, given: Any, title: str = "{{ 1 }} proposal", more: Sequence[str] = ()) -> Run:
    play = {
        "name": "Some workflow",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {
                "name": "Notify",
                "ansible.builtin.include_role": {"name": "aiops.k8s.notify", "rolespec_validate": False},
                "vars": {"notify_title": title, "notify_text": ["first", "second"], "notify_severity": "warning", "notify_facts": {"record": "0007"}},
            },
            {"name": "Go on", "ansible.builtin.debug": {"msg": "the workflow goes on"}},
        ],
    }
    path = ansible.directory / "workflow.yml"
    path.write_text(json.dumps([play]), encoding="utf-8")
    variables = ansible.directory / "channels.yml"
    variables.write_text(json.dumps({"notify_channels": given}), encoding="utf-8")
    return ansible.run(["ansible-playbook", str(path), "-e", f"@{variables}", *more])


def test_the_role_sends(ansible: Ansible, web: receivers.Received) -> None:
    include(ansible, [{"type": "webhook", "url": web.url("/204")}]).ok()
    assert web.requests[0][2] == {"title": "1 proposal", "text": "first\nsecond", "severity": "warning", "facts": {"record": "0007"}}


UNUSABLE = {
    "nothing": ([], ""),
    "text": (SECRET, "No notification was sent: notify_channels is not a list"),
    "fault": ([{"type": "pager", "token": SECRET}], "not sent to channel 1: notify_channels[1] has an unknown type"),
    "undefined": ([{"type": "webhook", "url": f"http://{SECRET}/{{{{ nowhere }}}}"}], "notify_channels cannot be evaluated: nowhere is not defined"),
    "undefined as a whole": ("{{ nowhere }}", ""),
    "refused": ([{"type": "webhook", "url": f"{REFUSED}{SECRET}"}], "not sent to webhook 1: the connection was refused"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_the_role_never_stops_a_workflow(ansible: Ansible, name: str) -> None:
    given, says = UNUSABLE[name]
    run = include(ansible, given, more=["-vvv"]).ok()
    assert "the workflow goes on" in run.output and says in " ".join(run.output.split())
    assert SECRET not in run.output, [line for line in run.output.splitlines() if SECRET in line]


def test_a_title_that_cannot_be_evaluated_stops_nothing(ansible: Ansible, web: receivers.Received) -> None:
    run = include(ansible, [{"type": "webhook", "url": web.url("/204")}], title="{{ nowhere }}").ok()
    assert "no notification was sent" in run.output and "the workflow goes on" in run.output and web.requests == []


def test_check_mode_sends_nothing(ansible: Ansible, web: receivers.Received) -> None:
    remind(ansible, {"type": "webhook", "url": web.url("/204")}, more=["--check"]).ok()
    assert web.requests == [] and notifications(ansible) == {"webhook 1": (False, "check mode")}


# --- the list ------------------------------------------------------------------------------------------------------------


def test_the_list_shows_what_waits_first(ansible: Ansible) -> None:
    run = ansible("records", result_file=str(ansible.directory / "list.json")).ok()
    shown = [line for line in run.output.splitlines() if line[:4].isdigit() or line.startswith("record ")]
    assert [line[:6].strip() for line in shown] == ["record", "0001", "0002", "0003", "record", "0004"]
    assert "15 min ago" in shown[1] and "in 55 min" in shown[3] and "to be carried out within 55 min" in shown[5]
    assert "3 waiting (2 past their SLA), 1 unfinished, 0 ended" in run.output
    rows = result_of(ansible.directory / "list.json")["records"]
    assert [(one["id"], one["overdue"], one["sla_met"]) for one in rows] == [
        ("0001", True, False),
        ("0002", True, False),
        ("0003", False, None),
        ("0004", False, True),
    ]


@pytest.mark.parametrize(("state", "expected"), [("overdue", ["0001", "0002"]), ("unfinished", ["0004"])])
def test_the_list_of_one_state(ansible: Ansible, state: str, expected: list[str]) -> None:
    ansible("records", state=state, result_file=str(ansible.directory / "list.json")).ok()
    assert [one["id"] for one in result_of(ansible.directory / "list.json")["records"]] == expected


def test_a_state_that_is_none(ansible: Ansible) -> None:
    ansible("records", state="late").refused("value of state must be one of: all, waiting, overdue, unfinished, ended, got: late")
