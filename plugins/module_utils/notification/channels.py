# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Channels that messages can be sent to: what a definition must look like, and the module and arguments that send to it.

A definition is a mapping {type: webhook|slack|mail, name, and the keys of its type}. Its values are secrets: what is said about
a definition names its place, its name, its type and its keys, never another value.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping
from urllib.parse import urlsplit

from ansible_collections.aiops.k8s.plugins.module_utils.notification.message import Message
from ansible_collections.aiops.k8s.plugins.module_utils.operation.screen import printable

Channel = dict[str, Any]
Check = Callable[[Any], str]  # what a value must be; empty when it is
SECONDS = 10  # that one channel may take, from start to end
_SLACK = "https://hooks.slack.com/services/"
_SLACK_TOKEN = re.compile(r"^(xox[abp]-\S+|[^\s/]+/[^\s/]+/[^\s/]+)\Z")
_SECURE = ("always", "starttls", "try", "never")
_MAIL_SUBMISSION, _MAIL_TLS = 25, 465


def _text(value: Any) -> str:
    """Text of one line, so that no header of a mail or of a request can be added to it."""
    return "" if isinstance(value, str) and value.strip() and value.isprintable() else "text in one line, and not empty"


def _texts(value: Any) -> str:
    given = value if isinstance(value, list) else [value]
    return "" if given and not any(_text(one) for one in given) else "an address, or a list of addresses"


def _headers(value: Any) -> str:
    fits = isinstance(value, dict) and all(not _text(name) and not _text(text) for name, text in value.items())
    return "" if fits else "a mapping of names to texts"


def _url(value: Any) -> str:
    wanted = "an address that begins with https:// or http://"
    if _text(value) or " " in value:
        return wanted
    try:
        parts = urlsplit(value)
        return "" if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else wanted
    except ValueError:
        return wanted


def _port(value: Any) -> str:
    fits = not isinstance(value, bool) and str(value).isascii() and str(value).isdigit() and 0 < int(value) < 65536
    return "" if fits else "a port number"


def _truth(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _token(value: Any) -> str:
    wanted = "a token of an incoming webhook (T000/B000/XXX, or its whole address) or of a bot (xoxb-...)"
    return "" if not _text(value) and _SLACK_TOKEN.match(value.removeprefix(_SLACK)) else wanted


def _secure(value: Any) -> str:
    return "" if value in _SECURE else f"one of {', '.join(_SECURE)}"


_COMMON: dict[str, Check] = {"type": _text, "name": _text}
# type -> key -> what its value must be
_KEYS: dict[str, dict[str, Check]] = {
    "webhook": {"url": _url, "headers": _headers, "ca_path": _text, "validate_certs": _truth},
    "slack": {"token": _token, "channel": _text, "username": _text},
    "mail": {"host": _text, "port": _port, "to": _texts, "from": _text, "secure": _secure, "username": _text, "password": _text},
}
_REQUIRED = {"webhook": ("url",), "slack": ("token",), "mail": ("host", "to", "from")}
TYPES = tuple(_KEYS)


def label(channel: Any, position: int) -> str:
    """How a channel is called: its name, or its type and place."""
    if isinstance(channel, dict) and "name" in channel and not _text(channel["name"]):
        return printable(str(channel["name"]))[:60]
    return f"{kind(channel) or 'channel'} {position}"


def kind(channel: Any) -> str:
    """The type of a channel; empty for one that is not known."""
    found = channel.get("type") if isinstance(channel, dict) else None
    return found if isinstance(found, str) and found in _KEYS else ""


def fault(channel: Any, position: int) -> str:
    """What is wrong with a definition, naming it and the key but no value; empty when nothing is."""
    where = f"notify_channels[{position}]"
    if not isinstance(channel, dict):
        return f"{where} is not a mapping with the keys of a channel"
    found = kind(channel)
    if not found:
        return f"{where} has {'an unknown type' if 'type' in channel else 'no type'}; the types are {', '.join(TYPES)}"
    if "name" in channel and not _text(channel["name"]):
        where += f" ({label(channel, position)})"
    known = {**_COMMON, **_KEYS[found]}
    unknown = [printable(str(key))[:30] for key in channel if key not in known]
    if unknown:
        return f"{where} has the unknown key {', '.join(unknown)}; the keys of {found} are {', '.join(known)}"
    missing = [key for key in _REQUIRED[found] if channel.get(key) in (None, "", [])]
    if missing:
        return f"{where} lacks {', '.join(missing)}"
    wrong = next(((key, wanted) for key, value in channel.items() if (wanted := known[key](value))), None)
    return f"{where}: {wrong[0]} must be {wrong[1]}" if wrong else _together(channel, found, where)


def _together(channel: Mapping[str, Any], found: str, where: str) -> str:
    """What is wrong with keys that depend on each other."""
    if found == "slack" and channel["token"].startswith("xox") and "channel" not in channel:
        return f"{where} lacks channel, which the token of a bot needs"
    if found == "mail" and ("username" in channel) != ("password" in channel):
        return f"{where} lacks {'password' if 'username' in channel else 'username'}; both or none are given"
    return ""


def faults(channels: Any) -> list[str]:
    """What is wrong with a list of definitions, one sentence for each."""
    if not isinstance(channels, list):
        return ["notify_channels is not a list of channels"]
    return [found for position, channel in enumerate(channels, 1) if (found := fault(channel, position))]


def evaluation_fault(text: str) -> str:
    """What is wrong when the list cannot even be evaluated, from the error's text, which may hold secrets."""
    undefined = re.search(r"'([A-Za-z_][A-Za-z0-9_]*)' is undefined", text)
    if undefined:
        return f"notify_channels cannot be evaluated: {undefined.group(1)} is not defined"
    why = (
        "it is encrypted, and the vault's password is missing or wrong"
        if re.search("vault|decrypt", text, re.IGNORECASE)
        else "an expression in it fails"
    )
    return f"notify_channels cannot be evaluated: {why}"


def call(channel: Channel, message: Message) -> tuple[str, dict[str, Any]]:
    """(module, its arguments) that send a message to a channel without fault."""
    return _CALLS[channel["type"]](channel, message)


def _webhook(channel: Channel, message: Message) -> tuple[str, dict[str, Any]]:
    return "ansible.builtin.uri", {
        "url": channel["url"],
        "method": "POST",
        "body_format": "json",
        "body": message.document(),
        "headers": channel.get("headers", {}),
        "status_code": list(range(200, 300)),
        "follow_redirects": "none",  # another server has no business with the headers
        "use_netrc": False,  # it would replace the header Authorization
        "validate_certs": channel.get("validate_certs", True),
        "timeout": SECONDS,
        **({"ca_path": channel["ca_path"]} if "ca_path" in channel else {}),
    }


def _slack(channel: Channel, message: Message) -> tuple[str, dict[str, Any]]:
    return "community.general.slack", {
        "token": channel["token"].removeprefix(_SLACK),
        "msg": message.slack(),
        "username": channel.get("username", "aiops.k8s"),
        "link_names": 0,  # @channel in a text must not call anybody
        "parse": "none",
        "prepend_hash": "never",
        **({"channel": channel["channel"]} if "channel" in channel else {}),
    }


def _mail(channel: Channel, message: Message) -> tuple[str, dict[str, Any]]:
    port = int(channel.get("port", _MAIL_SUBMISSION))
    login: Channel = {key: channel[key] for key in ("username", "password") if key in channel}
    return "community.general.mail", {
        "host": channel["host"],
        "port": port,
        "to": channel["to"] if isinstance(channel["to"], list) else [channel["to"]],
        "sender": channel["from"],
        "subject": message.title,
        "body": message.plain(),
        "secure": channel.get("secure") or ("always" if port == _MAIL_TLS else "starttls" if login else "try"),
        "timeout": SECONDS,
        **login,
    }


_CALLS: dict[str, Callable[[Channel, Message], tuple[str, dict[str, Any]]]] = {"webhook": _webhook, "slack": _slack, "mail": _mail}
