# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A snapshot, indexed for the rules: pods with their owners, events by object, containers with their state and logs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

Object = dict[str, Any]
_EXCERPT = 600  # characters of one piece of evidence
_WORKLOADS = ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs")


@dataclass
class Evidence:
    """Facts that findings refer to, each once: id, source, time, excerpt. Excerpts are redacted and cut."""

    facts: list[dict[str, str]] = field(default_factory=list)
    known: dict[tuple[str, str], str] = field(default_factory=dict)  # (source, excerpt) -> id

    def add(self, source: str, time: str, excerpt: str) -> str:
        text = redact(_printable(excerpt))[0].strip()
        text = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}... ({len(text)} characters)"
        identifier = self.known.setdefault((source, text), f"E{len(self.facts) + 1}")
        if len(self.known) > len(self.facts):
            self.facts.append({"id": identifier, "source": source, "time": time, "excerpt": text})
        return identifier


class View:
    """Read-only index over one snapshot."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self.snapshot = snapshot
        self.objects: Mapping[str, list[Object]] = snapshot["objects"]
        self.namespace: str = snapshot.get("namespace", "")  # the only one that was read, apart from the cluster's DNS; empty for all
        self.now = clock.parse(snapshot["taken_at"])
        self._by_uid = {item["metadata"]["uid"]: item for name in _WORKLOADS for item in self.objects.get(name, [])}
        self._events: dict[str, list[Object]] = defaultdict(list)
        for event in sorted(self.objects.get("events", []), key=event_time):
            self._events[event.get("involvedObject", {}).get("uid", "")].append(event)
        self._named: dict[str, dict[tuple[str, str], Object]] = {}
        self._inside: dict[str, dict[str, list[Object]]] = {}
        self._slices: dict[tuple[str, str], list[Object]] | None = None
        self._lists = {items[0]["kind"]: name for name, items in self.objects.items() if items}
        self._told = {key.rpartition("/")[0] for key, texts in snapshot["logs"].items() if any(texts.values())}
        self._pods: dict[str, list[Object]] = defaultdict(list)
        self._pod: dict[str, Object] = {}
        self._labelled: dict[tuple[str, str, str], dict[str, Object]] = defaultdict(dict)  # (namespace, key, value) -> {uid: pod}
        for pod in self.objects["pods"]:
            uid, namespace = pod["metadata"]["uid"], pod["metadata"].get("namespace", "")
            self._pod[uid] = pod
            for key, value in (pod["metadata"].get("labels") or {}).items():
                self._labelled[namespace, key, value][uid] = pod
            for one in self.chain(pod):
                self._pods[one["metadata"]["uid"]].append(pod)

    def is_asked(self, item: Object) -> bool:
        """Whether an object lies where the diagnosis looks: in its namespace, or in none."""
        return self.namespace in ("", item["metadata"].get("namespace", self.namespace))

    def was_read(self, name: str) -> bool:
        """Whether a list (``services``, ``nodes``) could be read at all; an empty one that was not read proves nothing."""
        return name in self.objects and name in self.snapshot["coverage"]["read"]

    def named(self, name: str, namespace: str, which: str) -> Object | None:
        """One object of a list; ``namespace`` is empty for what lies in none."""
        if name not in self._named:
            self._named[name] = {_address(item): item for item in self.objects.get(name, [])}
        return self._named[name].get((namespace, which))

    def inside(self, name: str, namespace: str) -> list[Object]:
        """The objects of a list that lie in a namespace."""
        if name not in self._inside:
            grouped: dict[str, list[Object]] = defaultdict(list)
            for item in self.objects.get(name, []):
                grouped[_address(item)[0]].append(item)
            self._inside[name] = dict(grouped)
        return self._inside[name].get(namespace, [])

    def events(self, item: Object, *reasons: str) -> list[Object]:
        """Events about an object (by uid), oldest first, of these reasons or of all."""
        return [event for event in self._events.get(item["metadata"]["uid"], ()) if not reasons or event.get("reason") in reasons]

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
        """The top of a pod's owner chain: its Deployment, StatefulSet, DaemonSet, Job, CronJob, ReplicaSet, or the pod itself."""
        return self.chain(pod)[-1]

    def pods_of(self, workload: Object) -> list[Object]:
        """The pods that a controller, or a controller that it owns, has made."""
        return self._pods.get(workload["metadata"]["uid"], [])

    def selected(self, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """The pods of a namespace that carry all of these labels (the selector of a Service)."""
        if not labels:
            return self.inside("pods", namespace)
        fitting = sorted((self._labelled.get((namespace, key, value), {}) for key, value in labels.items()), key=len)
        return [pod for uid, pod in fitting[0].items() if all(uid in other for other in fitting[1:])]

    def is_going(self, namespace: str) -> bool:
        """Whether a namespace is being deleted: then its pods go first, and what is left of it looks broken."""
        item = self.named("namespaces", "", namespace) or {}
        return "deletionTimestamp" in item.get("metadata", {}) or (item.get("status") or {}).get("phase") == "Terminating"

    def pod(self, uid: str) -> Object | None:
        """The pod of this uid."""
        return self._pod.get(uid)

    def is_well(self, pod: Object) -> bool:
        """Whether nothing about a pod gives a rule anything to look at: it serves, has never restarted, and its log was not read."""
        metadata, status = pod["metadata"], pod.get("status", {})
        if "deletionTimestamp" in metadata or f"{metadata.get('namespace', '')}/{metadata['name']}" in self._told or not is_ready(pod):
            return False
        statuses = status.get("containerStatuses") or ()
        return (
            status.get("phase") == "Running"
            and bool(statuses)
            and all(one.get("ready") and not one.get("restartCount") and "running" in one.get("state", {}) for one in statuses)
            and not any(one.get("restartCount") for one in status.get("initContainerStatuses") or ())
        )

    def slices(self, namespace: str, service: str) -> list[Object]:
        """The EndpointSlices of a Service."""
        if self._slices is None:
            self._slices = defaultdict(list)
            for one in self.objects.get("endpointslices", []):
                label = (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
                self._slices[one["metadata"].get("namespace", ""), label].append(one)
        return self._slices.get((namespace, service), [])

    def logs(self, pod: Object, container: str) -> Mapping[str, str]:
        """{current, previous} of a container, as far as they were read."""
        return self.snapshot["logs"].get(f"{pod['metadata'].get('namespace')}/{pod['metadata'].get('name')}/{container}") or {}

    def object(self, reference: Mapping[str, str]) -> Object | None:
        """The whole object that {kind, namespace, name} refers to, where the snapshot holds it."""
        name = self._lists.get(reference["kind"], "")
        return self.named(name, reference["namespace"], reference["name"]) if name else None

    def fronting(self, pod: Object) -> list[Object]:
        """The Services whose selector takes in a pod."""
        labels = pod["metadata"].get("labels") or {}
        return [
            one
            for one in self.inside("services", pod["metadata"].get("namespace", ""))
            if one["spec"].get("selector") and one["spec"]["selector"].items() <= labels.items()
        ]

    def age(self, stamp: str | None) -> float:
        """Seconds from a time to the snapshot; infinite where there is none."""
        return (self.now - clock.parse(stamp)).total_seconds() if stamp else float("inf")


def reference(item: Object) -> dict[str, str]:
    """{kind, namespace, name} of an object."""
    return {"kind": item["kind"], "namespace": item["metadata"].get("namespace", ""), "name": item["metadata"]["name"]}


def _address(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


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
    def memory_kill(self) -> Object:
        """The out-of-memory kill among its last two ends; empty where there was none. A child's death may hide the newest one."""
        ends = (self.status.get(state, {}).get("terminated") or {} for state in ("state", "lastState"))
        return next((one for one in ends if one.get("reason") == "OOMKilled"), {})

    @property
    def killed_for_memory(self) -> bool:
        return bool(self.memory_kill)

    @property
    def sidecar(self) -> bool:
        """A native sidecar: an init container that is meant to keep running."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def once(self) -> bool:
        """An init container that has to end before the others start."""
        return self.init and not self.sidecar

    @property
    def described(self) -> str:
        """``init container migrate``, ``sidecar proxy``, ``container web``."""
        return f"{'sidecar' if self.sidecar else 'init container' if self.init else 'container'} {self.name}"

    def concerns(self, event: Object) -> bool:
        """Whether an event about the pod is about this container of it."""
        path = f"{{{self.name}}}"
        return path in event.get("involvedObject", {}).get("fieldPath", path)

    @property
    def key(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}/{self.name}"

    def log(self) -> tuple[str, str]:
        """(which, text): the log of the run that ended, where there is one."""
        logs = self.view.logs(self.pod, self.name)
        order = (
            ("current", "previous") if self.status.get("state", {}).get("terminated") or not self.terminated else ("previous", "current")
        )
        return next(((which, logs[which]) for which in order if logs.get(which)), ("", ""))

    def log_source(self, which: str) -> str:
        """What an excerpt of the log is evidence from; ``which``: ``previous run`` or the like."""
        return f"log of pod/{self.pod['metadata']['name']} container {self.name} ({which})"

    def source(self) -> str:
        metadata = self.pod["metadata"]
        return f"pod/{metadata['name']} status.{'initContainerStatuses' if self.init else 'containerStatuses'}[{self.name}]"


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
    """Names of the containers whose logs may tell something: those that ended, restarted, run without being ready, or hold up the pod."""
    status = pod.get("status", {})
    statuses = [(one, True) for one in status.get("initContainerStatuses", [])] + [
        (one, False) for one in status.get("containerStatuses", [])
    ]
    return [
        one["name"]
        for one, init in statuses
        if one.get("lastState", {}).get("terminated")
        or one.get("state", {}).get("terminated", {}).get("exitCode")
        or (one.get("state", {}).get("running") and (not one.get("ready") or (init and status.get("phase") == "Pending")))
    ]


def wants_tail(pod: Object) -> list[str]:
    """Names of the containers that run and are ready: the newest lines of their logs may say that they suffer all the same."""
    status = pod.get("status", {})
    if status.get("phase") != "Running" or "deletionTimestamp" in pod["metadata"]:
        return []
    return [one["name"] for one in status.get("containerStatuses", []) if one.get("state", {}).get("running") and one.get("ready")]


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
