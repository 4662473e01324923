# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A snapshot, indexed for the rules: pods with their owners, events by object, containers with their state and logs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

Object = dict[str, Any]
_EXCERPT = 600  # characters of one piece of evidence
_WORKLOADS = ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs")


@dataclass
class Evidence:
    """Facts that findings refer to, each once: id, source, time, excerpt. Excerpts are redacted and cut."""

    facts: list[dict[str, str]] = field(default_factory=list)

    def add(self, source: str, time: str, excerpt: str) -> str:
        text = redact(_printable(excerpt))[0].strip()
        text = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}... ({len(text)} characters)"
        for fact in self.facts:
            if (fact["source"], fact["excerpt"]) == (source, text):
                return fact["id"]
        self.facts.append({"id": f"E{len(self.facts) + 1}", "source": source, "time": time, "excerpt": text})
        return self.facts[-1]["id"]


class View:
    """Read-only index over one snapshot."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self.snapshot = snapshot
        self.objects: Mapping[str, list[Object]] = snapshot["objects"]
        self.now = clock.parse(snapshot["taken_at"])
        self._by_uid = {item["metadata"]["uid"]: item for name in _WORKLOADS for item in self.objects.get(name, [])}
        self._events: dict[str, list[Object]] = defaultdict(list)
        for event in self.objects.get("events", []):
            self._events[event.get("involvedObject", {}).get("uid", "")].append(event)

    def events(self, item: Object, *reasons: str) -> list[Object]:
        """Events about an object (by uid), oldest first, of these reasons or of all."""
        mine = [event for event in self._events[item["metadata"]["uid"]] if not reasons or event.get("reason") in reasons]
        return sorted(mine, key=event_time)

    def owner(self, item: Object) -> Object | None:
        """The controller that owns an object, where the snapshot holds it."""
        for reference in item["metadata"].get("ownerReferences", []):
            if reference.get("controller"):
                return self._by_uid.get(reference["uid"])
        return None

    def chain(self, item: Object) -> list[Object]:
        """An object, its controller, the controller of that, and so on."""
        chain = [item]
        while (above := self.owner(chain[-1])) is not None:
            chain.append(above)
        return chain

    def workload(self, pod: Object) -> Object:
        """The top of a pod's owner chain: its Deployment, StatefulSet, DaemonSet, Job, ReplicaSet, or the pod itself."""
        return self.chain(pod)[-1]

    def pods_of(self, workload: Object) -> list[Object]:
        uid = workload["metadata"]["uid"]
        return [pod for pod in self.objects["pods"] if self.workload(pod)["metadata"]["uid"] == uid]

    def age(self, stamp: str | None) -> float:
        """Seconds from a time to the snapshot; infinite where there is none."""
        return (self.now - clock.parse(stamp)).total_seconds() if stamp else float("inf")


@dataclass
class Container:
    """One container of one pod as its rules see it."""

    view: View
    pod: Object
    name: str
    spec: Object
    status: Object
    init: bool

    @property
    def waiting(self) -> Object:
        return self.status.get("state", {}).get("waiting") or {}

    @property
    def running(self) -> bool:
        return bool(self.status.get("state", {}).get("running"))

    @property
    def ready(self) -> bool:
        return bool(self.status.get("ready"))

    @property
    def restarts(self) -> int:
        return int(self.status.get("restartCount", 0))

    @property
    def restarted(self) -> str:
        """``once``, ``3 times``."""
        return "once" if self.restarts == 1 else f"{self.restarts} times"

    @property
    def terminated(self) -> Object:
        """How it ended, now or the last time: {reason, exitCode, finishedAt, message...}; empty where it never did."""
        return self.status.get("state", {}).get("terminated") or self.status.get("lastState", {}).get("terminated") or {}

    @property
    def key(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}/{self.name}"

    def log(self) -> tuple[str, str]:
        """(which, text): the log of the run that ended, where there is one."""
        logs = self.view.snapshot["logs"].get(self.key) or {}
        order = (
            ("current", "previous") if self.status.get("state", {}).get("terminated") or not self.terminated else ("previous", "current")
        )
        return next(((which, logs[which]) for which in order if logs.get(which)), ("", ""))

    def source(self) -> str:
        metadata = self.pod["metadata"]
        return f"pod/{metadata['name']} status.containerStatuses[{self.name}]"


def containers(view: View, pod: Object) -> Iterator[Container]:
    """Init containers first, as they run."""
    status = pod.get("status", {})
    for init, specs, statuses in (
        (True, pod["spec"].get("initContainers", []), status.get("initContainerStatuses", [])),
        (False, pod["spec"].get("containers", []), status.get("containerStatuses", [])),
    ):
        by_name = {one["name"]: one for one in statuses}
        for spec in specs:
            yield Container(view, pod, spec["name"], spec, by_name.get(spec["name"], {}), init)


def wants_log(pod: Object) -> list[str]:
    """Names of the containers whose logs may tell something: those that ended, restarted, or run without being ready."""
    status = pod.get("status", {})
    return [
        one["name"]
        for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        if one.get("lastState", {}).get("terminated")
        or one.get("state", {}).get("terminated", {}).get("exitCode")
        or (one.get("state", {}).get("running") and not one.get("ready"))
    ]


def event_time(event: Object) -> str:
    series = event.get("series") or {}
    return (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def event_evidence(evidence: Evidence, events: Iterable[Object]) -> list[str]:
    """Evidence ids of events, the newest three of each message."""
    picked = {(event.get("reason"), event.get("message")): event for event in events}
    return [
        evidence.add(
            f"event {event.get('reason')} on {event['involvedObject'].get('kind', '').lower()}/{event['involvedObject'].get('name')}",
            event_time(event),
            f"{event.get('message', '')} (seen {(event.get('series') or {}).get('count') or event.get('count') or 1}x)",
        )
        for event in list(picked.values())[-3:]
    ]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)
