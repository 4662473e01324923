# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for init containers that run and do not end: what they wait for, as their command and their log say."""

from __future__ import annotations

import re

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence

_LONG = 90.0  # seconds that an init container may take without a reason to doubt it
_LONG_WAITING = 30.0  # the same, where it waits for a Service that has no endpoint
_NAME = r"(?P<host>[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*)"
# how shell loops wait for another service
_WAITS = (
    re.compile(rf"(?i)\bnc\s+(?:-\S+\s+(?:\d+\s+)?)*{_NAME}\s+(?P<port>\d{{2,5}})"),
    re.compile(rf"(?i)\b(?:https?|tcp|redis|postgres(?:ql)?|amqp|mongodb|mysql)://(?:[^@/\s]*@)?{_NAME}(?::(?P<port>\d{{2,5}}))?"),
    re.compile(rf"(?i)/dev/tcp/{_NAME}/(?P<port>\d{{2,5}})"),
    re.compile(
        rf"(?i)\b(?:pg_isready|mysqladmin|redis-cli|psql|mysql)\b[^;|&]*?\s(?:-h|--host)[ =]?{_NAME}(?:[^;|&]*?\s(?:-p|-P|--port)["
        r" =]?(?P<port>\d+))?"
    ),
    re.compile(rf"(?i)\b(?:nslookup|getent hosts|dig|host|ping)\s+(?:-\S+\s+(?:\d+\s+)?)*{_NAME}"),
    re.compile(rf"(?i)\b(?:wait-for(?:-it)?(?:\.sh)?|dockerize\s+-wait)\s+{_NAME}:(?P<port>\d{{2,5}})"),
)


def stuck(container: Container, evidence: Evidence) -> Finding | None:
    """An init container that has run for long without an end or a restart."""
    if not container.once or not container.running:
        return None
    started = container.status["state"]["running"].get("startedAt")
    age = container.view.age(started)
    command = command_of(container.spec)
    which, log = container.log()
    entries = reading.lines(log)
    last = entries[-1] if entries else None
    host, port = waits_for(command, last.text if last else "")
    if age < (_LONG_WAITING if host and not is_served(container, host) else _LONG):
        return None
    ids = [
        evidence.add(
            container.source(), started or "", f"running since {started}, restartCount {container.restarts}; command: {command[:300]}"
        )
    ]
    if last:
        ids.append(evidence.add(container.log_source(f"{which} run"), last.time, last.text))
    goal = f"{host}{f':{port}' if port else ''}"
    what = f"It waits for {goal}" if host else f"Its log ends with: {last.text[:200]}" if last else "It writes no log"
    told = f" Its command is {command[:200]}." if command and not host else ""
    return Finding(
        code="InitContainerStuck",
        container=container.name,
        evidence=ids,
        details={"host": host, "port": port, "line": last.text if last else ""},
        title=f"init container {container.name} does not end" + (f": it waits for {goal}" if host else ""),
        root_cause=(
            f"Init container {container.name} has run for {int(age)} s without ending, so the pod's containers are not started."
            f" {what}.{told}"
        ),
        suggested_fix=(
            f"Bring up {goal}, or correct the name and port that the init container waits for; give the wait a limit."
            if host
            else "Find out what the command waits for, and give it a limit."
        ),
        expected_outcome="The init container ends and the pod starts.",
    )


def waits_for(command: str, line: str) -> tuple[str, int]:
    """(host, port or 0) that a command's loop or its last log line names; ("", 0) for none."""
    found = reading.dependency(line) if line else None
    if found:
        return found
    for pattern in _WAITS:
        match = pattern.search(command)
        if match and match["host"].lower() not in ("localhost",):
            return match["host"], int(match.groupdict().get("port") or 0)
    return "", 0


def is_served(container: Container, host: str) -> bool:
    """Whether a Service of this name has a ready endpoint; a host outside the cluster is taken to be there."""
    name, *rest = host.split(".")
    namespace = rest[0] if rest else container.pod["metadata"]["namespace"]
    if len(rest) > 1 and rest[1] != "svc":
        return True
    slices = container.view.slices(namespace, name)
    return any((endpoint.get("conditions") or {}).get("ready") for one in slices for endpoint in one.get("endpoints") or [])
