# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for containers that cannot start or that end: command, hooks, memory, signals, application errors, finished main process."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.configuration import mounted
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, event_evidence, event_time

RECENT = 3600.0  # seconds: an end that lies further back than this, in a container that is ready again, is history
SETTLED = 600.0  # seconds: a run that has lasted twice the longest back-off is not part of a crash loop
_OUTLIVED = 3.0  # times the length of the run that failed: a ready container that has run for so long has got over it
_OUTLIVED_LEAST = 60.0  # seconds
# what the runtime says of the command itself; mounts and working directories have other words before "no such file"
_NOT_FOUND = re.compile(r'exec: "(?P<command>[^"]*)": (?:executable file not found|stat [^:]*: no such file)', re.IGNORECASE)
_NOT_EXECUTABLE = re.compile(r'exec: "(?P<command>[^"]*)": (?:permission denied|is a directory|exec format error)', re.IGNORECASE)
_SHELL_NOT_FOUND = re.compile(r"[\"']?(?P<command>[^\s:\"']+)[\"']?: (?:command )?(?:not found|No such file)")
# what stands in the log where the process could not become the command: the file is there, and its interpreter is not
_EXEC = re.compile(r"^exec (?P<command>/?[^\s:]+): (?P<why>no such file or directory|permission denied|exec format error)$", re.IGNORECASE)
_EXEC_MEANS = {
    "no such file or directory": (
        "{command} cannot be started: it does not exist, or its first line (#!) names an interpreter that the image does not have; lines"
        " that end as on Windows (CRLF) do that too."
    ),
    "permission denied": "{command} may not be executed: its file mode lacks the x bit (defaultMode of its volume, say).",
    "exec format error": "{command} is a script without a first line that names its interpreter (#!/bin/sh), so it cannot be started.",
}
_SCRIPT_VOLUMES = ("configMap", "secret", "projected", "downwardAPI")  # programs do not lie in these, only scripts
# what a line of a crash means, where no code says it better
_MEANS = (
    (re.compile(r"(?i)too many open files"), "It has used up its file descriptors."),
    (re.compile(r"(?i)licen[cs]e\b.{0,40}\bexpired|expired licen[cs]e"), "Its license has expired."),
    (
        re.compile(r"(?i)\b(?:ba|da|a|z)?sh: .{0,60}syntax error|syntax error: .{0,60}(?:unexpected|unterminated|expecting)"),
        "The shell cannot parse the script in its command or args.",
    ),
    (
        re.compile(
            r"ModuleNotFoundError|No module named|Cannot find (?:module|package) '[^./]|ClassNotFound|NoClassDefFound|LoadError|GLIBC_"
        ),
        "Its image lacks a library that it needs.",
    ),
    (
        re.compile(r"(?i)relation .{1,80} (?:already|does not) exist|schema version|migration"),
        "Its database schema is not what this version expects.",
    ),
    (re.compile(r"(?i)too many (?:clients|connections)|connection slots"), "The database has no connection left for it."),
)
_BY_ITSELF = " The kubelet did not tell it to end: something inside the container sends the signal, or it ends with this code of its own."
_OOM_AT_START = re.compile(r"(?i)container init was OOM-killed|memory limit too low")
_WORKING_DIRECTORY = re.compile(r'(?i)(?:chdir to cwd \(\\?"(?P<cwd>[^"\\]+)|mkdir (?P<made>/\S+?):)')
_START_REASONS = ("RunContainerError", "CreateContainerError", "StartError", "ContainerCannotRun")
_HOOK = "FailedPostStartHook"
_SIGNALS = {129: "SIGHUP", 130: "SIGINT", 132: "SIGILL", 134: "SIGABRT", 136: "SIGFPE", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}


def ended_badly(container: Container) -> bool:
    """Whether a container is down, or goes down again and again. An out-of-memory kill counts whatever the exit code."""
    ended = container.terminated
    if not ended:
        return False
    if container.once and container.status.get("state", {}).get("terminated", {}).get("exitCode") == 0:
        return False
    pod, above = container.pod, container.view.owner(container.pod)
    if pod.get("status", {}).get("phase") == "Failed" and above is not None and above["kind"] != "Job":
        return container.view.age(ended.get("finishedAt")) < RECENT  # evicted, say: its controller has replaced it
    failed = container.killed_for_memory or ended.get("exitCode") != 0
    if container.running:
        age = container.view.age(ended.get("finishedAt"))
        if not failed or age >= RECENT:
            return False
        return container.killed_for_memory or (age < SETTLED if not container.ready else not _got_over(container, ended))
    return failed or container.waiting.get("reason") == "CrashLoopBackOff"


def _got_over(container: Container, ended: Mapping[str, Any]) -> bool:
    """Whether a ready container has by now run much longer than the run that failed."""
    running = container.view.age(container.status["state"]["running"].get("startedAt"))
    lasted = container.view.age(ended.get("startedAt")) - container.view.age(ended.get("finishedAt")) if ended.get("startedAt") else 0.0
    return running > max(_OUTLIVED * lasted, _OUTLIVED_LEAST)


def out_of_memory(container: Container, evidence: Evidence) -> Finding | None:
    at_start = _OOM_AT_START.search(_messages(container)) is not None and not container.ready
    if not at_start and (not ended_badly(container) or not container.killed_for_memory):
        return None
    ids = [_state_evidence(container, evidence, _messages(container) if at_start else "")]
    limit = container.spec.get("resources", {}).get("limits", {}).get("memory")
    ended = container.memory_kill or container.terminated
    if limit:
        ids.append(
            evidence.add(
                f"pod/{container.pod['metadata']['name']} spec.containers[{container.name}]", "", f"resources.limits.memory: {limit}"
            )
        )
        return Finding(
            code="OOMKilled",
            container=container.name,
            evidence=ids,
            details={"limit": limit},
            title=f"container {container.name} is killed because it needs more than its memory limit of {limit}",
            root_cause=(
                f"The kernel killed {container.described} (OOMKilled, exit code {ended.get('exitCode')}) when it used more memory than its"
                f" limit of {limit}"
                + (", before its command had even started" if at_start else "")
                + (f"; it has restarted {container.restarted}." if container.restarts else ".")
            ),
            suggested_fix=(
                "Raise the memory limit by a bounded step; if it is killed again at a higher limit, look for a leak before raising it"
                " further."
            ),
            expected_outcome="The container stays within its new limit and no longer restarts.",
        )
    node = container.pod["spec"].get("nodeName", "")
    return Finding(
        code="OOMKilledNoLimit",
        container=container.name,
        evidence=ids,
        details={},
        title=f"container {container.name} has no memory limit and was killed because its node ran out of memory",
        root_cause=(
            f"The kernel killed {container.described} (OOMKilled, exit code {ended.get('exitCode')}). It has no memory"
            f" limit, so the memory of node {node} or of the whole pod was exhausted."
        ),
        suggested_fix="Set a memory request and limit that fit what it needs, and find what else uses the node's memory.",
        expected_outcome="The scheduler places the pod where its memory is available, and a leak stops at its own limit.",
    )


def command_not_found(container: Container, evidence: Evidence) -> Finding | None:
    ended, waiting = container.terminated, container.waiting
    message = _messages(container)
    never_started = ended.get("reason") in ("StartError", "ContainerCannotRun") or waiting.get("reason") in (
        "RunContainerError",
        "CreateContainerError",
    )
    code = ended.get("exitCode")
    refused = never_started and not container.ready
    found = (_NOT_FOUND.search(message) or _NOT_EXECUTABLE.search(message)) if refused else None
    if found:
        what = (
            "The command is not in the image: the runtime could not start it."
            if _NOT_FOUND.search(message)
            else "The command is in the image, but it cannot be executed: the runtime could not start it."
        )
    elif ended_badly(container) and (unstarted := _unstarted(container)):
        found, what = unstarted
    elif ended_badly(container) and code in (126, 127):
        what = {127: "The shell did not find a command (exit code 127).", 126: "A command exists but may not be executed (exit code 126)."}[
            code
        ]
    else:
        return None
    line = _log_line(container)
    ids = [_state_evidence(container, evidence, message.strip())]
    if line and not never_started:
        ids.append(_log_evidence(container, evidence, line))
    command = [*container.spec.get("command", []), *container.spec.get("args", [])]
    found = found or _SHELL_NOT_FOUND.search(line.text if line else "")
    missing = found["command"] if found else ""
    return Finding(
        code="CommandNotFound",
        container=container.name,
        evidence=ids,
        details={},
        title=f"container {container.name} cannot run its command{f' {missing!r}' if missing else ''}",
        root_cause=(
            f"{what}{f' It looked for {missing!r}.' if missing else ''} The command is"
            f" {' '.join(command)[:200] or 'the one built into the image'}."
            f"{mounted(container, missing)}"
        ),
        suggested_fix="Correct command or args in the pod template, or use an image that holds the command.",
        expected_outcome="The container starts and stays running.",
    )


def _unstarted(container: Container) -> tuple[re.Match[str], str] | None:
    """What the runtime wrote to the log instead of the application. A program for another architecture is not meant."""
    said = reading.lines(container.log()[1])
    found = _EXEC.search(said[0].text) if len(said) == 1 else None
    if not found or (found["why"].lower() == "exec format error" and not _is_script(container, found["command"])):
        return None
    return found, _EXEC_MEANS[found["why"].lower()].format(command=found["command"])


def _is_script(container: Container, path: str) -> bool:
    """Whether a path lies in a volume made of text."""
    text = {one["name"] for one in container.pod["spec"].get("volumes") or [] if any(kind in one for kind in _SCRIPT_VOLUMES)}
    return path.endswith(".sh") or any(
        one["name"] in text and f"{path}/".startswith(f"{one['mountPath'].rstrip('/')}/")
        for one in container.spec.get("volumeMounts") or []
    )


def start_failed(container: Container, evidence: Evidence) -> Finding | None:
    """The runtime cannot start the container, and not because of its command: working directory, mounts, devices, user."""
    states = (container.waiting.get("reason"), container.terminated.get("reason"))
    if container.ready or container.running or not any(one in _START_REASONS for one in states):
        return None
    message = _messages(container)
    directory = _WORKING_DIRECTORY.search(message)
    missing = (directory["cwd"] or directory["made"]) if directory else ""
    what = f"its working directory {missing} cannot be used" if missing else f"the runtime says: {message[-300:]}"
    return Finding(
        code="ContainerStartFailed",
        container=container.name,
        evidence=[_state_evidence(container, evidence, message), *event_evidence(evidence, container.view.events(container.pod, "Failed"))],
        details={"working_directory": missing},
        title=f"container {container.name} cannot be started",
        root_cause=f"The runtime cannot start {container.described}: {what}.",
        suggested_fix=(
            "Correct workingDir in the pod template, or use an image that has this directory."
            if missing
            else "Correct what the message names in the pod template (mounts, user, devices), or return to the revision that ran."
        ),
        expected_outcome="The container starts and stays running.",
    )


def hook_failed(container: Container, evidence: Evidence) -> Finding | None:
    """The kubelet kills the container because its postStart hook fails."""
    events = [event for event in container.view.events(container.pod, _HOOK) if container.concerns(event)]
    if not events or container.view.age(event_time(events[-1])) > RECENT:
        return None
    if container.ready and container.view.age(event_time(events[-1])) > SETTLED:
        return None
    hook = (container.spec.get("lifecycle") or {}).get("postStart") or {}
    asks = (
        " ".join((hook.get("exec") or {}).get("command", []))
        or f"HTTP GET :{(hook.get('httpGet') or {}).get('port')}{(hook.get('httpGet') or {}).get('path', '')}"
    )
    return Finding(
        code="PostStartHookFailed",
        container=container.name,
        evidence=[_state_evidence(container, evidence), *event_evidence(evidence, events)],
        details={},
        title=f"the postStart hook of container {container.name} fails",
        root_cause=(
            f"The postStart hook of {container.described} fails ({asks[:200]}), so the kubelet kills the container:"
            f" {events[-1].get('message', '')[:300]}"
        ),
        suggested_fix=(
            "Correct the hook's command in lifecycle.postStart, or move what it does into the application's start or an init container."
        ),
        expected_outcome="The hook succeeds and the container stays running.",
    )


def killed(container: Container, evidence: Evidence) -> Finding | None:
    if not ended_badly(container) or container.terminated.get("exitCode") != 137:
        return None
    ids = [
        _state_evidence(container, evidence),
        *event_evidence(evidence, container.view.events(container.pod, "Killing", "NodeNotReady", "Evicted")),
    ]
    return Finding(
        code="KilledNotOOM",
        container=container.name,
        evidence=ids,
        details={},
        title=f"container {container.name} is killed by SIGKILL, and not for its own memory limit",
        root_cause=(
            f"Container {container.name} ended with exit code 137 (SIGKILL) and the reason {container.terminated.get('reason')!r}, not"
            " OOMKilled: the runtime saw no out-of-memory kill of it. The node, a person, a shutdown that took too long, or the death of a"
            " child process whose status it passed on are what is left."
        ),
        suggested_fix=(
            "Find who sent the signal: the node's kernel log, a termination grace period that is too short, or a process inside the"
            " container. Do not raise the memory limit unless the kernel log names one of its processes."
        ),
        expected_outcome="The container is no longer killed.",
    )


def application_error(container: Container, evidence: Evidence) -> Finding | None:
    ended = container.terminated
    if not ended_badly(container) or ended.get("exitCode") == 0:
        return None
    line, code = _log_line(container), ended.get("exitCode")
    ids = [_state_evidence(container, evidence)]
    if line:
        ids.append(_log_evidence(container, evidence, line))
    ids += event_evidence(evidence, container.view.events(container.pod, "BackOff"))
    how = f"exit code {code}" + (f" ({_SIGNALS[code]})" if code in _SIGNALS else "")
    said = f"; its log says: {line.text[:200]}" if line else "; no line of its log could be read"
    told = "" if container.view.events(container.pod, "Killing") or code not in (130, 143) else _BY_ITSELF
    return Finding(
        code="AppCrash",
        container=container.name,
        evidence=ids,
        details={"line": line.text if line else "", "finished": ended.get("finishedAt", "")},
        title=f"container {container.name} crashes with {how}",
        root_cause=f"The application in {container.described} ends with {how}{said}.{told}{_meaning(line.text if line else '')}",
        suggested_fix="Correct what the log line names (configuration, environment, dependency or code)"
        + (", or return to the revision that worked." if container.view.workload(container.pod)["kind"] == "Deployment" else "."),
        expected_outcome="The container starts and stays running.",
    )


def _meaning(line: str) -> str:
    return next((f" {means}" for pattern, means in _MEANS if pattern.search(line)), "")


def main_process_ends(container: Container, evidence: Evidence) -> Finding | None:
    ended = container.status.get("state", {}).get("terminated")  # between two runs, before the back-off is written
    again = bool(ended) and container.restarts >= 1 and container.pod["spec"].get("restartPolicy", "Always") == "Always"
    if container.once or container.terminated.get("exitCode") != 0 or not (again or container.waiting.get("reason") == "CrashLoopBackOff"):
        return None
    said = reading.lines(container.log()[1])
    command = command_of(container.spec)[:200]
    ids = [_state_evidence(container, evidence), *event_evidence(evidence, container.view.events(container.pod, "BackOff"))]
    if said:
        ids.append(_log_evidence(container, evidence, said[-1]))
    return Finding(
        code="MainProcessEnds",
        container=container.name,
        details={},
        evidence=ids,
        title=f"the main process of container {container.name} ends by itself",
        root_cause=(
            f"Container {container.name} ends with exit code 0 and is started again, because pods of a"
            f" {container.view.workload(container.pod)['kind']} must keep running. Its command is"
            f" {command or 'the one built into the image'}"
            + (f"; its log ends with: {said[-1].text[:200].rstrip('. ')}." if said else "; it writes no log.")
        ),
        suggested_fix="Run a process that stays in the foreground, or make this a Job.",
        expected_outcome="The container keeps running.",
    )


def _state_evidence(container: Container, evidence: Evidence, message: str = "") -> str:
    ended = container.terminated
    facts = [f"restartCount {container.restarts}"]
    if container.waiting:
        facts.insert(0, f"waiting: {container.waiting.get('reason')}")
    if ended:
        facts.append(f"ended: reason {ended.get('reason')}, exit code {ended.get('exitCode')}, at {ended.get('finishedAt')}")
    if message:
        facts.append(message)
    return evidence.add(container.source(), ended.get("finishedAt") or "", "; ".join(facts))


def _messages(container: Container) -> str:
    """What the runtime says about the container's start and end."""
    said = (container.terminated.get("message"), container.waiting.get("message"))
    return " ".join(dict.fromkeys(text.strip() for text in said if text))


def _log_line(container: Container) -> reading.Line | None:
    return reading.telling_line(container.log()[1])


def _log_evidence(container: Container, evidence: Evidence, line: reading.Line) -> str:
    return evidence.add(container.log_source(f"{container.log()[0]} run"), line.time, line.text)
