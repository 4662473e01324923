# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What this collection's action plugins share: validated options, errors as results, text on the terminal."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Mapping

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import forget
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.operation.screen import Line
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS

_EVERY = 15.0  # seconds between two lines of progress
_WIDEST = 100  # columns: longer lines are hard to read
_RUNNERS = ("AWX_ISOLATED_DATA_DIR", "AWX_PRIVATE_DATA_DIR", "RUNNER_OMIT_EVENTS", "JOB_ID", "TOWER_HOST")


class Action(ActionBase):  # type: ignore[misc]
    """An action that runs on the control node, in Ansible's own process. Subclasses set ``SPEC`` and implement ``act``."""

    SPEC: Mapping[str, Any] = {}
    REQUIRE: Mapping[str, Any] = {}
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False
    store: Directory | None = None

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(argument_spec=dict(self.SPEC), **self.REQUIRE)
        self.task_vars = task_vars or {}
        self._adopt_environment()
        try:
            result = self.act(json.loads(json.dumps(options)))  # plain data: Ansible's tagged strings stay on its side
        except AiopsError as error:
            return {"failed": True, "msg": redact(str(error))[0], **redact_object(error.details)}
        finally:
            forget()
            for sentence in dict.fromkeys(self.store.warnings if self.store else ()):
                self._display.warning(sentence)
        # the text was shown already; -vv still shows the data
        return {"changed": False, "_ansible_verbose_override": Display().verbosity < 2, **result}

    def records(self, options: Mapping[str, Any]) -> Directory:
        """The store of the options records_dir and feature. What it has to say to the user is shown when the task ends."""
        self.store = open_store(options["records_dir"], options["feature"])
        return self.store

    def records_of(self, options: Mapping[str, Any]) -> Directory:
        """The store of options that may be unset."""
        given = {name: options[name] for name in ("records_dir", "feature") if options.get(name)}
        return self.records({"feature": RECORDS["feature"]["default"], **given})

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do the work and return the result. Raises AiopsError."""
        raise NotImplementedError

    def _adopt_environment(self) -> None:
        """Make the keyword ``environment`` count, as it does for modules; each task has a process of its own."""
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        os.environ.update({name: str(value) for name, value in environment.items()})

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)


class LocalAction(Action):
    """A module that reads only, and runs in Ansible's own process where it would run on the control node anyway.

    That saves the packing, copying and starting of a module, half a second. Elsewhere (delegate_to a bastion, another Python)
    the module of the same name runs as usual.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        interpreter = (task_vars or {}).get("ansible_python_interpreter")
        if self._connection.transport == "local" and interpreter in (None, sys.executable, "{{ ansible_playbook_python }}"):
            return super().run(tmp, task_vars)
        return dict(self._execute_module(task_vars=task_vars))


def say(lines: list[Line]) -> None:
    """Show lines on the terminal at once; Ansible's settings decide about colours."""
    display = Display()
    for text, colour in lines:
        display.display(text, color=colour or None)


class Shown:
    """Progress of what takes its time, as lines: at most one in so many seconds, and the last. ``what``: the end of ``30 s of 5 min ...``."""

    def __init__(self, what: str) -> None:
        self._what, self._at = what, 0.0

    def __call__(self, done: float, wanted: float, seen: str) -> None:
        if done >= wanted or time.monotonic() - self._at >= _EVERY:
            self._at = time.monotonic()
            say([(f"  {clock.span(done):>8} of {clock.span(wanted)} {self._what}: {seen}", "")])


def width() -> int:
    """Columns to use: the terminal's, at most 100; 100 where there is none.

    A worker has no terminal of its own, so the parent's is looked at.
    """
    try:
        descriptor = os.open(f"/proc/{os.getppid()}/fd/1", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return _WIDEST
    try:
        return max(40, min(_WIDEST, os.get_terminal_size(descriptor).columns - 1))
    except OSError:
        return _WIDEST
    finally:
        os.close(descriptor)


def nearest(path: str) -> str:
    """A path as short as it can be copied from here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def person_present(task_vars: Mapping[str, Any]) -> bool:
    """Whether somebody can be asked: the controlling process has a terminal in the foreground, and no runner plays one.

    A worker's own standard input is closed, so the parent's is looked at. Under ansible-runner and AWX there is a pseudo
    terminal with nobody behind it, where a prompt would hang until the job's time-out.
    """
    if any(name in os.environ for name in _RUNNERS) or any(name in task_vars for name in ("awx_job_id", "tower_job_id")):
        return False
    try:
        descriptor = os.open(f"/proc/{os.getppid()}/fd/0", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return not os.path.isdir("/proc/self/fd")  # not Linux: pause itself finds out, and passes on with no answer
    try:
        return os.isatty(descriptor) and _foreground(os.getppid())
    finally:
        os.close(descriptor)


def _foreground(process: int) -> bool:
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return fields[2] == fields[5]  # process group, and the terminal's foreground process group
