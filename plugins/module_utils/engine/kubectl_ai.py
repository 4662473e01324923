# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""kubectl-ai as an engine: a question in, an opinion out. Whatever goes wrong with the engine is a named outcome."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import confine, session, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Limits, Redact, build, collection_redact
from ansible_collections.aiops.k8s.plugins.module_utils.engine.identity import Identity, nobody, of_service_account
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Opinion, Outcome, plain, unanswered, with_answer
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import Choice, choose, readable_files, route, secret_values, visible

ENGINE = "kubectl-ai"
BINARY_VARIABLE = "AIOPS_KUBECTL_AI"
RELEASES = "https://github.com/GoogleCloudPlatform/kubectl-ai/releases"

_LEAST = 0.2  # seconds below which starting the engine makes no sense
_TOKEN_SHARE = 0.5  # of the budget may go into getting the engine's own credentials
_COMMANDS, _COMMAND = 50, 500  # commands that are reported, and characters of each


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to run the engine. binary, provider, model: None where the environment decides."""

    binary: str | None = None
    provider: str | None = None
    model: str | None = None
    limits: Limits = Limits()
    confined: bool = True
    redact: Redact | None = None  # the collection's own unless given


def ask(
    questions: Sequence[Mapping[str, Any]], settings: Settings, budget: float, environment: Mapping[str, str], *,
    connection: Mapping[str, Any] | None = None, service_account: Mapping[str, str] | None = None,
) -> list[Opinion]:
    """One opinion per question, asked one after the other within ``budget`` seconds together.

    environment: where variables of providers are looked for; nothing else of it reaches the engine.
    connection: options with which a token of ``service_account`` is asked for; without the latter the engine sees no cluster.
    """
    deadline = time.monotonic() + budget
    binary, problem = find(settings.binary, environment)
    choice = choose(settings.provider, settings.model, environment)
    if problem or choice.reason:
        return [_start(question, "unavailable", problem or choice.reason, choice) for question in questions]
    with tempfile.TemporaryDirectory(prefix="aiops-engine-", ignore_cleanup_errors=True) as directory:
        version = _Version(binary, directory)
        identity = nobody("no service_account was given")
        if service_account:
            identity = of_service_account(connection or {}, service_account, max(0.1, budget * _TOKEN_SHARE))
        one = _One(settings, binary, choice, identity, environment)
        opinions = []
        for number, question in enumerate(questions):
            left = deadline - time.monotonic()
            if left < _LEAST:
                opinions.append(_start(question, "timeout", f"the budget of {budget:g} s was spent before this question", choice))
            else:
                opinions.append(one.ask(question, os.path.join(directory, str(number)), left))
        return [{**opinion, "engine_version": version.text()} for opinion in opinions]


def find(binary: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The path of the program, or why there is none."""
    named = binary or environment.get(BINARY_VARIABLE, "")
    path = shutil.which(os.path.expanduser(named) if named else ENGINE, path=environment.get("PATH", session.SYSTEM_PATH))
    if path:
        return os.path.realpath(path), ""
    what = f"{named} is not an executable file" if named else f"{ENGINE} is not on the PATH"
    return "", f"{what}: get it from {RELEASES}, then put it on the PATH, or name it with the option binary or the variable {BINARY_VARIABLE}"


def _start(question: Mapping[str, Any], outcome: Outcome, reason: str, choice: Choice) -> Opinion:
    return {**unanswered(str(question["id"]), ENGINE, outcome, reason), "provider": choice.provider, "model": choice.model}


class _One:
    """Asks one question after the other, all in the same way."""

    def __init__(self, settings: Settings, binary: str, choice: Choice, identity: Identity, environment: Mapping[str, str]) -> None:
        self._settings, self._choice, self._identity = settings, choice, identity
        kubectl = shutil.which("kubectl", path=environment.get("PATH", session.SYSTEM_PATH)) or ""
        seen = visible(choice.provider, environment)
        self._clean = _cleaner([*secret_values(seen), *filter(None, [identity.token])], settings.redact)
        self._plan = session.Plan(
            binary=binary, provider=choice.provider, model=choice.model, kubectl=kubectl if identity.token else "", kubeconfig=identity.kubeconfig,
            model_environment=seen, network_environment=route(seen), readable_files=tuple(readable_files(choice.provider, environment)),
            confined=settings.confined,
        )
        self._remarks = _restrictions(identity, kubectl, settings.confined)

    def ask(self, question: Mapping[str, Any], directory: str, limit: float) -> Opinion:
        started = time.monotonic()
        prompt = build(question, may_read_cluster=bool(self._plan.kubectl), limits=self._settings.limits, redact=self._settings.redact)
        opinion: Opinion = {
            **_start(question, "unavailable", "", self._choice), "identity": self._identity.name, "prompt": prompt.text,
            "prompt_sha256": prompt.sha256, "remarks": [*prompt.remarks, *self._remarks],
        }
        try:
            os.mkdir(directory, 0o700)
            opinion = self._read(opinion, question, session.run(self._plan, prompt.text, directory, limit), limit)
        except OSError as error:
            opinion["reason"] = self._clean(f"{ENGINE} cannot be run: {error}")
        opinion["duration_seconds"] = round(time.monotonic() - started, 3)
        return opinion

    def _read(self, opinion: Opinion, question: Mapping[str, Any], result: session.Result, limit: float) -> Opinion:
        opinion["tokens"] = result.tokens
        opinion["commands"] = [plain(self._clean(command), _COMMAND) for command in result.allowed[:_COMMANDS]]
        opinion["remarks"] += [plain(self._clean(f"not run: {command}: {reason}"), _COMMAND) for command, reason in result.refused[:_COMMANDS]]
        if result.went_past_the_filter:
            reason = f"a command went past the filter of this collection, so the answer is not used: {ENGINE} is too old, or cannot start Python"
            return {**opinion, "outcome": "refused", "reason": reason}
        raw = transcript.answer(result.entries, result.ended.stdout)
        if raw:
            return with_answer(opinion, raw, question, self._clean)
        if result.ended.timed_out:
            return {**opinion, "outcome": "timeout", "reason": f"no answer within the {limit:.1f} s that were left of the budget"}
        outcome, reason = transcript.failure(result.entries, result.ended.stderr, result.ended.status)
        return {**opinion, "outcome": outcome, "reason": plain(self._clean(reason), _COMMAND)}


def _restrictions(identity: Identity, kubectl: str, confined: bool) -> list[str]:
    """What the reader of an opinion must know about how it came about."""
    remarks = []
    if not identity.token:
        remarks.append(f"from the evidence alone: {identity.reason}")
    elif not kubectl:
        remarks.append("from the evidence alone: kubectl is not on the PATH")
    if not confined:
        remarks.append("not confined: switched off")
    elif not confine.version():
        remarks.append("not confined: this system has no Landlock")
    return remarks


def _cleaner(values: Sequence[str], redact: Redact | None) -> Callable[[str], str]:
    """Takes out the secrets that the engine knows, and whatever else looks like one."""
    known = redact or collection_redact()

    def clean(text: str) -> str:
        for value in values:
            text = text.replace(value, "[redacted]")
        return known(text)[0]

    return clean


class _Version:
    """What the program calls its own version; asked for while the model thinks."""

    def __init__(self, binary: str, directory: str) -> None:
        self._text = ""
        try:
            self._process: subprocess.Popen[str] | None = subprocess.Popen(
                [binary, "version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=directory,
                env={"PATH": session.SYSTEM_PATH, "HOME": directory, "TMPDIR": directory}, start_new_session=True,
            )
        except OSError:
            self._process = None

    def text(self) -> str:
        if self._process:
            try:
                output = self._process.communicate(timeout=1)[0]
            except subprocess.TimeoutExpired:
                self._process.kill()
                output = self._process.communicate()[0]
            self._process = None
            stated = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
            self._text = plain(stated.get("version", ""), 64)
        return self._text
