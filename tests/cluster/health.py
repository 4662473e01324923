# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the built-in cluster is well: its processes by their health URLs, the node and the add-ons by the API."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import processes
from .programs import Daemon
from .settings import NODE, SERVER, Paths

PROBE_SECONDS = 5.0
METRICS = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


class Api:
    """Reads of the API server as a user of our own, with certificates both ways."""

    def __init__(self, pki: Path) -> None:
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "tool-client.crt", pki / "tool-client.key")
        # never through a proxy that the environment names
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)
        )

    def get(self, url: str) -> bytes:
        """The body of `url`, or of a path on the API server.

        Raises OSError when there is no good answer within PROBE_SECONDS.
        """
        whole = f"{SERVER}{url}" if url.startswith("/") else url
        with self.opener.open(whole, timeout=PROBE_SECONDS) as answer:
            content: bytes = answer.read()
            return content

    def read(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`, {} when there is none yet."""
        try:
            value: dict[str, Any] = json.loads(self.get(path))
            return value
        except (OSError, ValueError):
            return {}


def explain(error: OSError) -> str:
    """A probe's failure in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answers {error.code}"
    return str(getattr(error, "reason", error))


def condition(item: Mapping[str, Any], kind: str) -> str:
    """ "" when the object's condition `kind` is True, else why not."""
    for entry in (item.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            if entry.get("status") == "True":
                return ""
            return str(entry.get("message") or entry.get("reason") or f"{kind} is {entry.get('status')}")
    return f"not {kind} yet" if item else "not there yet"


# add-on or node -> path, and the condition that must be True
OBJECTS: dict[str, tuple[str, str]] = {
    f"node {NODE}": (f"/api/v1/nodes/{NODE}", "Ready"),
    "add-on coredns": ("/apis/apps/v1/namespaces/kube-system/deployments/coredns", "Available"),
    "add-on metrics-server": ("/apis/apps/v1/namespaces/kube-system/deployments/metrics-server", "Available"),
    "metrics API": (METRICS, "Available"),
}


def daemon(paths: Paths, api: Api, name: str, program: Daemon, process: processes.Process | None) -> str:
    """ "" when a program is well, else what is wrong."""
    if process is None or not processes.alive(process):
        return "not running"
    try:
        if program.health:
            api.get(program.health)
        else:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PROBE_SECONDS)
                connection.connect(str(paths.containerd_socket))
    except OSError as error:
        return explain(error)
    return ""


def report(paths: Paths, programs: Mapping[str, Daemon]) -> dict[str, str]:
    """Part -> "" when well, else the complaint, for every process, the node and the add-ons."""
    recorded = processes.recorded(paths)
    if not (paths.pki / "tool-client.key").exists():
        return {name: "not running" for name in programs}
    api = Api(paths.pki)
    found = {name: daemon(paths, api, name, program, recorded.get(name)) for name, program in programs.items()}
    if found.get("kube-apiserver"):
        return found
    found.update(objects(api, OBJECTS))
    return found


def objects(api: Api, wanted: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Object -> "" when its condition is True, else the complaint; `wanted` is like OBJECTS."""
    return {name: condition(api.read(path), kind) for name, (path, kind) in wanted.items()}


def first(check: Callable[[], Mapping[str, str]]) -> str:
    """The first complaint of a check as one line, "" when all is well."""
    return next((f"{name}: {complaint}" for name, complaint in check().items() if complaint), "")
