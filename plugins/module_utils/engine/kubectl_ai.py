# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""kubectl-ai as an engine: questions in, opinions out. Whatever goes wrong with the engine is a named outcome."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import confine, process, session, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.asking import Asked, Asker, Attempt, Manner, Question
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Prompt
from ansible_collections.aiops.k8s.plugins.module_utils.engine.identity import Identity, nobody, of_service_account
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Failure, Opinion, plain, unanswered
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Progress, Show
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import nobody as unseen
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import (
    PROVIDERS,
    Choice,
    choose,
    readable_files,
    route,
    secret_values,
    visible,
)
from ansible_collections.aiops.k8s.plugins.module_utils.engine.rounds import ask_all
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import sum_cost, sum_tokens

ENGINE = "kubectl-ai"
BINARY_VARIABLE = "AIOPS_KUBECTL_AI"
RELEASES = "https://github.com/GoogleCloudPlatform/kubectl-ai/releases"

_TOKEN_SHARE = 0.5  # of the budget may go into getting the engine's own credentials
_COMMANDS, _COMMAND = 50, 500  # commands that are reported, and characters of each


@dataclasses.dataclass(frozen=True)
class Settings(Manner):
    """How to run the engine. binary, provider, model: None where the environment decides."""

    binary: str | None = None
    provider: str | None = None
    model: str | None = None
    confined: bool = True


def ask(
    questions: Sequence[Question],
    settings: Settings,
    budget: float,
    environment: Mapping[str, str],
    *,
    connection: Mapping[str, Any] | None = None,
    service_account: Mapping[str, str] | None = None,
    show: Show = unseen,
) -> list[Opinion]:
    """One opinion per question, in their order, within ``budget`` seconds together.

    environment: where variables of providers are looked for; nothing else of it reaches the engine.
    connection: options with which a token of ``service_account`` is asked for; without the latter the engine sees no cluster.
    show: told of what happens, as it happens.
    """
    deadline = time.monotonic() + budget
    binary, problem = find(settings.binary, environment)
    choice = choose(settings.provider, settings.model, environment)
    if problem or choice.reason:
        silent = [unanswered(str(question["id"]), ENGINE, "unavailable", problem or choice.reason) for question in questions]
        return [{**opinion, "provider": choice.provider, "model": choice.model} for opinion in silent]
    with tempfile.TemporaryDirectory(prefix="aiops-engine-", ignore_cleanup_errors=True) as directory:
        version = _Version(binary, directory)
        identity = nobody("no service_account was given")
        if service_account:
            identity = of_service_account(connection or {}, service_account, max(0.1, budget * _TOKEN_SHARE))
        asker = KubectlAi(settings, binary, choice, identity, environment, directory)
        width = settings.parallel or PROVIDERS[choice.provider].parallel
        opinions = ask_all(questions, settings.max_questions, asker, deadline, width, show)
        return [{**opinion, "engine_version": version.text()} for opinion in opinions]


class KubectlAi(Asker):
    """Asks by runs of kubectl-ai, each in a private directory inside ``directory``."""

    def __init__(
        self, settings: Settings, binary: str, choice: Choice, identity: Identity, environment: Mapping[str, str], directory: str
    ) -> None:
        kubectl = shutil.which("kubectl", path=environment.get("PATH", session.SYSTEM_PATH)) or ""
        seen = visible(choice.provider, environment)
        self._directory = directory
        self._plan = session.Plan(
            binary=binary,
            provider=choice.provider,
            model=choice.model,
            kubectl=kubectl if identity.token else "",
            kubeconfig=identity.kubeconfig,
            model_environment=seen,
            network_environment=route(seen),
            readable_files=tuple(readable_files(choice.provider, environment)),
            confined=settings.confined,
        )
        super().__init__(
            ENGINE,
            {"provider": choice.provider, "model": choice.model},
            settings,
            secrets=[*secret_values(seen), *filter(None, [identity.token])],
            remarks=_restrictions(identity, kubectl, settings.confined),
            tools="kubectl" if self._plan.kubectl else "none",
            identity=identity.name,
        )

    def attempt(
        self, asked: Asked, question: Question, prompt: Prompt, deadline: float, limit: float, progress: Progress
    ) -> process.Steps[Attempt]:
        place = tempfile.mkdtemp(dir=self._directory)
        result = yield from session.steps(self._plan, prompt.text, place, deadline - time.monotonic(), progress.decided)
        failure = self._read(asked, question, result, limit)
        return Attempt(failure, result.trace.failed, result.ended.timed_out)

    def _read(self, asked: Asked, question: Question, result: session.Result, limit: float) -> Failure:
        """Put the outcome of a run into the opinion."""
        opinion, allowed = asked.opinion, [command for command, refusal in result.decisions if not refusal]
        asked.heard = asked.heard or result.heard
        opinion["tokens"] = sum_tokens([opinion["tokens"], result.trace.tokens()])
        opinion["cost"] = sum_cost([opinion["cost"], result.trace.cost()])
        opinion["commands"] = [*opinion["commands"], *(plain(self.clean(command), _COMMAND) for command in allowed)][:_COMMANDS]
        refused = [(command, refusal) for command, refusal in result.decisions if refusal]
        opinion["remarks"] += [plain(self.clean(f"not run: {command}: {reason}"), _COMMAND) for command, reason in refused[:_COMMANDS]]
        failure = self._failure(asked, result, limit)
        raw = "" if failure else transcript.answer(result.entries, result.ended.stdout)
        if raw:
            return self.answered(asked, question, raw)
        if not failure:
            found = transcript.failure(result.entries, result.ended.stderr, result.ended.status)
            failure = found._replace(reason=plain(self.clean(found.reason), _COMMAND))
        asked.opinion = {**opinion, "outcome": failure.outcome, "reason": failure.reason}
        return failure

    def _failure(self, asked: Asked, result: session.Result, limit: float) -> Failure | None:
        """What makes any answer void, or its absence certain."""
        if result.went_past_the_filter:
            return Failure(
                "refused",
                f"a command went past the filter of this collection, so the answer is not used: {ENGINE} is too old, or cannot start"
                " Python",
            )
        if result.ended.bloated:
            asked.huge = True
            return Failure("unparseable", f"the answer did not end: {ENGINE} was stopped at {process.MEMORY_BYTES >> 20} MiB of memory")
        if not result.ended.timed_out or transcript.answer(result.entries, ""):
            return None
        last = plain(self.clean(result.trace.last), 100)
        what = (
            f"; the last call of the endpoint ended with: {last}"
            if last and result.trace.failed
            else "" if asked.heard else "; the endpoint sent nothing"
        )
        return Failure("timeout", f"no answer within the {limit:.1f} s that were its share of the budget{what}")


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


def find(binary: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The path of the program, or why there is none."""
    named = binary or environment.get(BINARY_VARIABLE, "")
    path = shutil.which(os.path.expanduser(named) if named else ENGINE, path=environment.get("PATH", session.SYSTEM_PATH))
    if path:
        return os.path.realpath(path), ""
    what = f"{named} is not an executable file" if named else f"{ENGINE} is not on the PATH"
    return (
        "",
        f"{what}: get it from {RELEASES}, then put it on the PATH, or name it with the option binary or the variable {BINARY_VARIABLE}",
    )


class _Version:
    """What the program calls its own version; asked for while the model thinks."""

    def __init__(self, binary: str, directory: str) -> None:
        self._text = ""
        try:
            self._process: subprocess.Popen[str] | None = subprocess.Popen(
                [binary, "version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=directory,
                env={"PATH": session.SYSTEM_PATH, "HOME": directory, "TMPDIR": directory},
                start_new_session=True,
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
