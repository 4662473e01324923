# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Definitions of channels: each fault is named with its place and key, and never with a value."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.notification import channels
from ansible_collections.aiops.k8s.plugins.module_utils.notification.message import message

SECRET = "s3cr3t"
WEBHOOK = {"type": "webhook", "url": f"https://hooks.test/{SECRET}"}
SLACK = {"type": "slack", "token": f"T0/B0/{SECRET}"}
MAIL = {"type": "mail", "host": "mail.test", "to": "ops@test", "from": "aiops@test"}

GOOD: list[dict[str, Any]] = [
    WEBHOOK,
    {**WEBHOOK, "name": "ops", "headers": {"Authorization": SECRET}, "ca_path": "/etc/ca.pem", "validate_certs": False},
    {**WEBHOOK, "url": "http://[::1]:8080/x?y=z"},
    SLACK,
    {**SLACK, "token": f"https://hooks.slack.com/services/T0/B0/{SECRET}", "username": "bot"},
    {**SLACK, "token": f"xoxb-{SECRET}", "channel": "#ops"},
    MAIL,
    {**MAIL, "to": ["a@test", "Ann <b@test>"], "port": "587", "secure": "starttls", "username": "u", "password": SECRET},
]


@pytest.mark.parametrize("channel", GOOD)
def test_good_definitions(channel: dict[str, Any]) -> None:
    assert channels.faults([channel]) == []


BAD: list[tuple[Any, str]] = [
    (None, "notify_channels[1] is not a mapping with the keys of a channel"),
    ({}, "notify_channels[1] has no type; the types are webhook, slack, mail"),
    ({"type": [SECRET]}, "notify_channels[1] has an unknown type; the types are webhook, slack, mail"),
    ({"type": SECRET, "name": "ops"}, "notify_channels[1] has an unknown type; the types are webhook, slack, mail"),
    ({"type": "webhook"}, "notify_channels[1] lacks url"),
    ({"type": "webhook", "url": ""}, "notify_channels[1] lacks url"),
    ({**MAIL, "to": []}, "notify_channels[1] lacks to"),
    ({"type": "mail", "name": "ops"}, "notify_channels[1] (ops) lacks host, to, from"),
    (
        {**MAIL, "pasword": SECRET},
        "notify_channels[1] has the unknown key pasword; the keys of mail are type, name, host, port, to, from, secure, username, password",
    ),
    ({**MAIL, "password": SECRET}, "notify_channels[1] lacks username; both or none are given"),
    ({**SLACK, "token": f"xoxb-{SECRET}"}, "notify_channels[1] lacks channel, which the token of a bot needs"),
    *(
        ({**WEBHOOK, "url": url}, "notify_channels[1]: url must be an address that begins with https:// or http://")
        for url in (
            SECRET,
            f"file:///{SECRET}",
            "http://",
            f"http://x/{SECRET}\n",
            f"http://x /{SECRET}",
            f"http://[{SECRET}",
            "http://x:99999999",
            7,
            {"a": SECRET},
        )
    ),
    *(
        ({**SLACK, "token": token}, "notify_channels[1]: token must be a token of an incoming webhook")
        for token in (SECRET, f"a/{SECRET}", f"a/b/{SECRET} c", 5)
    ),
    *(({**MAIL, "port": port}, "notify_channels[1]: port must be a port number") for port in (0, 65536, True, "smtp", "٣", -1, 2.5)),
    *(({**MAIL, key: f"a@b\r\nBcc: {SECRET}"}, f"notify_channels[1]: {key} must be ") for key in ("to", "from", "host")),
    ({**MAIL, "secure": "no"}, "notify_channels[1]: secure must be one of always, starttls, try, never"),
    ({**WEBHOOK, "headers": {"X": f"{SECRET}\r\nY: z"}}, "notify_channels[1]: headers must be a mapping of names to texts"),
    ({**WEBHOOK, "headers": [SECRET]}, "notify_channels[1]: headers must be a mapping of names to texts"),
    ({**WEBHOOK, "validate_certs": "no"}, "notify_channels[1]: validate_certs must be true or false"),
]


@pytest.mark.parametrize(("channel", "says"), BAD)
def test_bad_definitions(channel: Any, says: str) -> None:
    [fault] = channels.faults([channel])
    assert fault.startswith(says) and SECRET not in fault and fault.isprintable()


def test_all_faults_are_told_with_their_places() -> None:
    assert [one.split()[0] for one in channels.faults([{}, WEBHOOK, 3])] == ["notify_channels[1]", "notify_channels[3]"]
    assert channels.faults("x") == channels.faults(None) == ["notify_channels is not a list of channels"]


@pytest.mark.parametrize(
    ("channel", "label"),
    [
        (WEBHOOK, "webhook 2"),
        ({**MAIL, "name": "ops"}, "ops"),
        ({**MAIL, "name": "a\nb"}, "mail 2"),
        ({"type": SECRET}, "channel 2"),
        (3, "channel 2"),
    ],
)
def test_how_a_channel_is_called(channel: Any, label: str) -> None:
    assert channels.label(channel, 2) == label


@pytest.mark.parametrize(
    ("more", "secure"),
    [({}, "try"), ({"port": 465}, "always"), ({"username": "u", "password": "p"}, "starttls"), ({"port": 465, "secure": "never"}, "never")],
)
def test_a_password_is_not_sent_in_clear_unless_that_is_asked_for(more: dict[str, Any], secure: str) -> None:
    module, arguments = channels.call({**MAIL, **more}, message("t", "x", "info", {}))
    assert module == "community.general.mail" and arguments["secure"] == secure and arguments["timeout"] == channels.SECONDS


def test_a_webhook_is_not_redirected_and_keeps_its_headers() -> None:
    module, arguments = channels.call({**WEBHOOK, "headers": {"Authorization": SECRET}}, message("t", "x", "info", {"a": 1}))
    assert module == "ansible.builtin.uri" and arguments["body"] == {"title": "t", "text": "x", "severity": "info", "facts": {"a": 1}}
    assert (arguments["follow_redirects"], arguments["use_netrc"], arguments["validate_certs"]) == ("none", False, True)
    assert arguments["headers"] == {"Authorization": SECRET}


def test_slack_calls_nobody() -> None:
    _module, arguments = channels.call({**SLACK, "token": f"https://hooks.slack.com/services/T0/B0/{SECRET}"}, message("t", "x", "info", {}))
    assert (arguments["token"], arguments["link_names"], arguments["parse"]) == (f"T0/B0/{SECRET}", 0, "none")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"Error while templating 'https://{SECRET}': 'token' is undefined", "token is not defined"),
        ("Attempting to decrypt but no vault secrets found", "it is encrypted, and the vault's password is missing or wrong"),
        (SECRET, "an expression in it fails"),
    ],
)
def test_a_list_that_cannot_be_evaluated(text: str, says: str) -> None:
    assert channels.evaluation_fault(text) == f"notify_channels cannot be evaluated: {says}"
