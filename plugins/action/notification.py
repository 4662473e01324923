# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Sends one message to channels, with the modules that are there for it. A channel that fails is a warning, never a failure."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import Any, Iterator

from ansible.utils.display import Display

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core before 2.19 trusts every template of ours
    trust_as_template = str

from ansible_collections.aiops.k8s.plugins.module_utils.notification import channels, message, outcome
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action

_GRACE = 1.0  # seconds that an interrupted module gets to tidy up


class TooSlow(BaseException):
    """A channel took too long. Not an Exception, so that nothing on the way takes it for an error of its own."""


class ActionModule(Action):
    SPEC = {
        "channels": {"type": "raw", "no_log": True},
        "title": {"type": "raw", "default": ""},
        "text": {"type": "raw", "default": ""},
        "severity": {"type": "raw", "default": "info"},
        "facts": {"type": "raw", "default": {}},
        "only_check": {"type": "bool", "default": False},
    }
    _requires_connection = True

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        given, failure = (options["channels"], "") if options["channels"] is not None else self._evaluated()
        faults = [failure] if failure else channels.faults(given)
        if options["only_check"]:
            return {"faults": faults or ([] if given else ["notify_channels is empty"]), "notifications": []}
        if given == []:
            return {"faults": [], "notifications": [], "skipped": True, "skip_reason": "there is no channel"}
        if failure or not isinstance(given, list):
            Display().warning(f"No notification was sent: {'; '.join(faults)}.")
            return {"faults": faults, "notifications": []}
        what = message.message(options["title"], options["text"], options["severity"], options["facts"])
        sent = [self._send(channel, position, what) for position, channel in enumerate(given, 1)]
        for one in sent:
            if not one["ok"]:
                Display().warning(f"The notification was not sent to {one['channel']}: {one['reason']}.")
        return {"faults": faults, "notifications": sent}

    def _evaluated(self) -> tuple[Any, str]:
        """(value of the variable notify_channels, why it cannot be evaluated).

        It is evaluated here and not in the task's arguments, because Ansible shows the lines around an expression that fails, also under
        no_log, and those hold secrets.
        """
        try:
            value = self._templar.template(trust_as_template("{{ notify_channels | default([], true) }}"))
            return json.loads(json.dumps(value, default=str)), ""  # a value from the vault becomes plain text
        except Exception as error:  # pylint: disable=broad-except  # as below
            return None, channels.evaluation_fault(str(error))

    def _send(self, channel: Any, position: int, what: message.Message) -> dict[str, Any]:
        """{channel, type, ok, reason, seconds}."""
        started = time.monotonic()
        reason = channels.fault(channel, position) or ("check mode" if self.check_mode else self._attempt(channel, what))
        return {
            "channel": channels.label(channel, position),
            "type": channels.kind(channel),
            "ok": not reason,
            "reason": reason,
            "seconds": round(time.monotonic() - started, 3),
        }

    def _attempt(self, channel: channels.Channel, what: message.Message) -> str:
        """Why a message was not sent; empty when it was."""
        module, arguments = channels.call(channel, what)
        try:
            with _within(channels.SECONDS):
                return outcome.judge(module, self._execute_module(module_name=module, module_args=arguments, task_vars=self.task_vars))
        except TooSlow:
            _end_children()
            return f"it did not answer within {channels.SECONDS} s"
        except (
            Exception
        ) as error:  # pylint: disable=broad-except  # whatever it is, it must not stop the run that wanted to tell about itself
            return outcome.reason(module, str(error))


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises TooSlow when the body takes longer: a module's own time limit counts from one packet to the next, so a slow server outlives it."""

    def late(_number: int, _frame: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, late)
    started, (left, _interval) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # the task has a time limit of its own
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - started)))


def _end_children() -> None:
    """End the module that was waited for, and its shell; only Linux tells who they are, elsewhere they end with their connection.

    An interrupt lets the module remove its temporary files; one that does not heed it is killed.
    """
    family = _descendants(os.getpid())
    for number in (signal.SIGINT, signal.SIGKILL):
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process, number)
        until = time.monotonic() + _GRACE
        while any(_runs(process) for process in family) and time.monotonic() < until:
            time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _descendants(parent: int) -> list[int]:
    try:
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            children = [int(one) for one in file.read().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_descendants(child))]
