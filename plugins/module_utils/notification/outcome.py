# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a message was sent, and if not, why: in words of our own, because a module's message may hold its address or token."""

from __future__ import annotations

import re
from typing import Any, Mapping

_SENT_TO_ALL = "Mail sent successfully"

# what a failure's text holds -> what is said; {0} is what the pattern's group holds, which never is more than a number or a word
_REASONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"certificate.verify.failed|certificate_verify|failed to validate the SSL certificate", "its TLS certificate does not verify"),
        (r"StartTLS is not offered", "it does not offer STARTTLS"),
        (r"ssl\.?error|\[ssl|encrypted session|tlsv1|wrong_version_number", "no TLS connection could be made"),
        (r"connection refused|errno 111\b", "the connection was refused"),
        (
            r"name or service not known|nodename nor servname|name resolution|no address associated|gaierror",
            "its host name does not resolve",
        ),
        (r"no route to host|network is unreachable|errno 1(?:01|13)\b", "there is no way to its host"),
        (r"timed? ?out", "it did not answer in time"),
        (r"status code was ([1-5]\d\d)\b", "it answered with HTTP status {0}"),
        (r"http error ([1-5]\d\d)\b", "it answered with HTTP status {0}"),
        (r"authentication to .* failed", "it refused the username or password"),
        (r"no suitable authentication|no authentication on the server", "it offers no way to log in that is known here"),
        (r"failed to send mail[^(]*\((\d{3}),", "it refused the mail with SMTP status {0}"),
        (r"at least one recipient", "it refused at least one recipient"),
        (r"slack api error ([a-z_]{1,40})", "Slack says {0}"),
        (
            r"connection (?:reset|aborted)|remote end closed|unexpectedly closed|remotedisconnected|broken pipe|badstatusline",
            "it closed the connection",
        ),
        (
            r"(?:module|action)[^:]{0,20} (?:community\.general\.\w+ )?was not found|couldn't resolve module",
            "the collection community.general is not installed",
        ),
    )
)
_UNKNOWN = "{} failed in a way that is not known here; its message is kept back, since it may hold secrets"


def judge(module: str, result: Mapping[str, Any]) -> str:
    """Why a module's result means that nothing was sent; empty when it was. ``module`` is its full name."""
    if module.endswith(".mail") and not result.get("failed"):
        return "" if result.get("msg") == _SENT_TO_ALL else reason(module, str(result.get("msg", "")))
    if not result.get("failed"):
        return ""
    return reason(module, " ".join(str(result.get(key, "")) for key in ("msg", "error", "exception", "module_stderr", "module_stdout")))


def reason(module: str, text: str) -> str:
    """A failure's text in words that hold no secret."""
    for pattern, words in _REASONS:
        match = pattern.search(text)
        if match:
            return words.format(*match.groups())
    return _UNKNOWN.format(module)
