# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which logs of a container exist and are worth reading, and reading them: the newest lines, however long the ones before are.

A kubelet that does not answer costs its time once: its other containers are passed over, and said to be.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import statuses_of

LOG_LINES, LOG_BYTES = 200, 64 * 1024
TAIL_LINES, TAIL_BYTES = 50, 16 * 1024  # of containers that are well
_ASKED = 4  # times as many bytes are asked for as are kept: limitBytes cuts off the end, and the end is what tells
_FEWER_LINES = (40, 3)  # asked for when that was still cut: three of a log file's lines, at most 16 KiB each, always fit
_LONGEST = 16 * 1024  # characters of one line that are kept
_NO_LOG = "unable to retrieve container logs for "  # what the kubelet answers, with status 200, for a log that is gone
_PATIENCE, _PATIENCE_WIDE = 5.0, 1.0  # seconds for one log: of one namespace, of the whole cluster
_SILENT = 3  # when so many nodes do not answer and none does, nobody reaches the kubelets
_NOT_REACHED = ("dial tcp", "no route to host", "connection refused", "i/o timeout", "deadline exceeded", "no agent available")

Object = dict[str, Any]


class Wanted(NamedTuple):
    """One container whose log is to be read, in full or only its newest lines."""

    pod: Object
    container: str
    brief: bool = False

    @property
    def key(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}/{self.container}"

    @property
    def node(self) -> str:
        return str(self.pod["spec"].get("nodeName", ""))


class Log(NamedTuple):
    """What could be read: the key, {current, previous}, and a note on what could not."""

    key: str
    texts: dict[str, str]
    note: str


def runs(status: Object) -> tuple[str, ...]:
    """Which logs of a container to ask for, by its status. One after "|" only matters when nothing was read before it."""
    state, ended = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
    if "waiting" in state and ended:
        return ("previous", "|current")  # the kubelet would answer the same text for both, unless the run is being replaced just now
    if "terminated" in state:
        return ("current", "|previous") if status.get("restartCount") else ("current",)
    if "running" in state and ended:
        return ("previous", "|current") if status.get("ready") else ("previous", "current")
    return ("current",)


class Reader:
    """Reads logs of many containers, from several threads."""

    def __init__(self, api: Api, wide: bool, nodes: list[Object]) -> None:
        self._api, self._wide, self._lock = api, wide, Lock()
        self._patience = _PATIENCE_WIDE if wide else _PATIENCE
        self._silent = {node["metadata"]["name"] for node in nodes if _is_lost(node)}
        self._lost = len(self._silent)
        self._answered: set[str] = set()

    def read(self, wanted: Wanted) -> Log:
        texts = {"current": "", "previous": ""}
        notes: list[str] = []
        for run in runs(_status(wanted)):
            which = run.lstrip("|")
            if run.startswith("|") and any(texts.values()):
                continue
            reason = self._skipped(wanted.node)
            if reason:
                notes.append(reason)
                break
            text, note = self._one(wanted, which)
            texts[which] = text
            notes += [note] if note else []
        return Log(wanted.key, texts, "; ".join(sorted(set(notes))))

    def again(self, wanted: Wanted) -> bool:
        """Whether a log that was not read in the time of a wide look deserves a second, longer try: its node answers others, or is the only one."""
        node = wanted.node
        if not self._wide or node not in self._silent:
            return False
        return node in self._answered or len(self._silent) - self._lost == 1

    def be_patient(self) -> None:
        """Before a second try."""
        with self._lock:
            self._patience, self._wide = _PATIENCE, False
            self._silent.clear()

    def _skipped(self, node: str) -> str:
        with self._lock:
            if node in self._silent:
                return f"the kubelet of node {node} does not answer"
            if len(self._silent) - self._lost >= _SILENT and not self._answered:
                return "no kubelet that was asked answers"
        return ""

    def _one(self, wanted: Wanted, which: str) -> tuple[str, str]:
        namespace = wanted.pod["metadata"]["namespace"]
        try:
            text = self._text(wanted, which)
        except Unreachable as error:
            self._note(wanted.node, answered=False)
            return "", error.message
        except ApiError as error:
            if error.status == 403:
                return "", f"get pods/log in namespace {namespace}"
            if error.status == 404:
                return "", "" if which == "previous" else "the pod is gone meanwhile"
            if error.status == 400:
                return "", ""  # the container has no such log (yet)
            if any(words in error.text for words in _NOT_REACHED):
                self._note(wanted.node, answered=False)
            return "", error.message
        self._note(wanted.node, answered=True)
        return ("" if text.startswith(_NO_LOG) else text), ""

    def _text(self, wanted: Wanted, which: str) -> str:
        metadata = wanted.pod["metadata"]
        path = f"/api/v1/namespaces/{segment(metadata['namespace'])}/pods/{segment(metadata['name'])}/log"
        most, lines = (TAIL_BYTES, TAIL_LINES) if wanted.brief else (LOG_BYTES, LOG_LINES)
        query = {
            "container": wanted.container,
            "previous": str(which == "previous").lower(),
            "limitBytes": most * _ASKED,
            "timestamps": "true",
        }
        text = ""
        for number in (lines, *_FEWER_LINES):
            text = self._api.text(path, {**query, "tailLines": number}, timeout=self._patience, again=False)
            if len(text.encode()) < most * _ASKED:
                break
        return newest(text, most)

    def _note(self, node: str, *, answered: bool) -> None:
        with self._lock:
            (self._answered if answered else self._silent).add(node)


def newest(text: str, most: int) -> str:
    """The last lines of a text that fit into ``most`` characters; a line that is too long loses its end."""
    if len(text) <= most and "\n" in text[-_LONGEST - 1 :]:
        return text
    kept: list[str] = []
    for line in reversed(text.splitlines(keepends=True)):
        short = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "\n"
        most -= len(short)
        if most < 0 and kept:
            break
        kept.append(short)
    return "".join(reversed(kept))


def _status(wanted: Wanted) -> Object:
    return next((one for one in statuses_of(wanted.pod) if one["name"] == wanted.container), {})


def _is_lost(node: Object) -> bool:
    """Whether a node has stopped to report."""
    return any(one["type"] == "Ready" and one["status"] == "Unknown" for one in node.get("status", {}).get("conditions") or ())
