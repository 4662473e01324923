# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which Prometheus is asked, and with which credentials: options, and for those that are unset the environment.

An address is http(s)://HOST[:PORT][/PREFIX], or service://NAMESPACE/NAME:PORT[/PREFIX] for a Service of the cluster that is reached through
the API server (service://NAMESPACE/https:NAME:PORT where it speaks TLS). Anything that answers Prometheus' HTTP API will do: Thanos, Mimir,
VictoriaMetrics.
"""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Any, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

OPTIONS = (
    "prometheus_url",
    "prometheus_token",
    "prometheus_token_file",
    "prometheus_username",
    "prometheus_password",
    "prometheus_ca_cert",
    "prometheus_validate_certs",
    "prometheus_tenant",
)
_FALSE = ("0", "false", "no", "off")
_FORMS = "Give http(s)://HOST[:PORT][/PREFIX], or service://NAMESPACE/NAME:PORT for a Service of the cluster."
_SERVICE = re.compile(r"(?:https?:)?[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?:[a-z0-9][-a-z0-9]*")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_][-A-Za-z0-9_.]*(?:/[A-Za-z0-9_][-A-Za-z0-9_.]*)*)?")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")


@dataclasses.dataclass(frozen=True)
class Settings:
    """``address`` is fit to be shown: it holds no credentials. ``namespace`` and ``service`` are set for service:// alone."""

    address: str
    namespace: str = ""
    service: str = ""
    token: str = dataclasses.field(default="", repr=False)
    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    ca_cert: str = ""
    validate_certs: bool = True
    tenant: str = ""  # of a server with several of them: Mimir, Cortex, Thanos
    prefix: str = ""  # of the HTTP API of a Service, as /prometheus of Mimir; part of the address of others


def settings(options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings | None:
    """What the options ask for; None where no address is given. Raises BadInput, which names the option and shows no secret."""
    known = os.environ if environment is None else environment
    chosen = {
        name: options.get(name) if options.get(name) not in (None, "") else known.get(f"AIOPS_{name.upper()}", "") for name in OPTIONS
    }
    address = str(chosen["prometheus_url"] or "").strip()
    if not address:
        return None
    validate = chosen["prometheus_validate_certs"]
    validate = str(validate).lower() not in _FALSE if validate not in (None, "") else True
    token = _plain("prometheus_token", str(chosen["prometheus_token"] or "") or _read_token(str(chosen["prometheus_token_file"] or "")))
    username, password = (_plain(name, str(chosen[name] or "")) for name in ("prometheus_username", "prometheus_password"))
    tenant = _plain("prometheus_tenant", str(chosen["prometheus_tenant"] or "").strip())
    if address.startswith("service://"):
        if token or username:
            raise BadInput(
                "prometheus_url names a Service of the cluster, so prometheus_token and prometheus_username cannot be sent along.",
                "The API server takes your own credentials and passes none on: leave them out, or give an address that can be reached"
                " directly.",
            )
        return _of_service(address, tenant)
    parts = _split(address)
    if parts.username:
        username, password = unquote(parts.username), unquote(parts.password or "")
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    shown = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"
    if token and username:
        raise BadInput("Both prometheus_token and prometheus_username are given.", "Give one of them.")
    ca_cert = os.path.expanduser(str(chosen["prometheus_ca_cert"] or ""))
    if ca_cert and not os.access(ca_cert, os.R_OK):
        raise BadInput(f"prometheus_ca_cert {ca_cert} cannot be read.", "Give a readable file with certificates in PEM form.")
    return Settings(shown, "", "", token, username, password, ca_cert, validate, tenant)


def _of_service(address: str, tenant: str) -> Settings:
    namespace, _slash, rest = address.removeprefix("service://").rstrip("/").partition("/")
    service, _slash, prefix = rest.partition("/")
    if not _LABEL.fullmatch(namespace) or not _SERVICE.fullmatch(service) or not _PREFIX.fullmatch(prefix):
        raise BadInput(f"prometheus_url {address[:200]!r} does not name a Service and its port.", _FORMS)
    prefix = f"/{prefix}" if prefix else ""
    return Settings(f"service://{namespace}/{service}{prefix}", namespace, service, tenant=tenant, prefix=prefix)


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, good = urlsplit(""), False
    if not good or parts.query or parts.fragment or any(letter.isspace() or not letter.isprintable() for letter in address):
        shown = re.sub(r"//[^/@]*@", "//***@", address)[:200]
        raise BadInput(f"prometheus_url {shown!r} is not an address.", _FORMS)
    return parts


def _read_token(path: str) -> str:
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            return file.read(65536).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(
            f"prometheus_token_file {path} cannot be read: {reason}.", "Give a readable file that holds the token alone."
        ) from error


def _plain(option: str, value: str) -> str:
    """A value that goes into a header. Raises BadInput, without it, for what could end the header."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise BadInput(f"{option} holds a line break or another control character.", "Give the bare value.")
    return value
