# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""kubectl-ai as executor: one approved change, applied by the real program, in a cage.

The cage is an identity that is made for this change and may touch this object only, a filter that runs one command once, and the
confinement of the kernel. Afterwards the identity is removed, its token is seen to be refused, and the object is compared with what was
approved, field by field. Whoever calls applies the inverse where they differ: nothing here undoes anything.

change: {action: "create", object{apiVersion, kind, namespace, name, uid}, manifest}, or {action: "patch", object} with either ``patch``
(RFC 6902, guarded) or ``desired`` (the live object as just read, with the change applied). They carry the marks of their record already.
Seconds everywhere. Raises BadInput for a change or settings that cannot be meant, and the API's own error (ApiError, Unreachable) where the
object cannot be read afterwards: then nobody knows yet, and the object has to be asked again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
import time
from typing import Any, Literal, Mapping, TypedDict

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import FIELD_MANAGER, Api
from ansible_collections.aiops.k8s.plugins.module_utils.engine import (
    cage_filter,
    cage_identity,
    cage_manifest,
    cage_session,
    confine,
    kubectl_ai,
    process,
    session,
    transcript,
)
from ansible_collections.aiops.k8s.plugins.module_utils.engine.asking import cleaner
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kubectl_ai import ENGINE
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Clean, plain
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Show, nobody
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import choose, readable_files, route, secret_values, visible
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import Cost, Tokens
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput

LIMITS = (1.0, 480.0)  # of Settings.limit: the engine must be done before its token expires
_DEAD_WITHIN = 20.0  # the API server knows a token for ten seconds after it saw it last
_TEXT, _SHOWN = 500, 120  # characters of a command or a reason: kept, and shown
_LINES = 40  # that are shown
_APPLY_PATCH = "application/apply-patch+yaml"

Outcome = Literal["applied", "different", "not_applied", "unavailable"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """environment: where the provider's variables and the PATH are looked for. connection: options of the executor's connection.

    binary, provider, model: None where the environment decides. limit: wall clock of the engine.
    """

    environment: Mapping[str, str]
    connection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    binary: str | None = None
    provider: str | None = None
    model: str | None = None
    limit: float = 60.0
    confined: bool = True


class Refusal(TypedDict):
    command: str
    reason: str


class Report(TypedDict):
    """What became of it. applied: the object is as approved. different: it is not, and not as before either. not_applied: it is as before.

    unavailable: nobody was asked to do anything, the object is as before. differences: {path, approved, found}, None standing for absent.
    removed: nothing of the identity is left. token_dead: the token was refused with 401, or there was none.
    """

    outcome: Outcome
    reason: str
    differences: list[dict[str, Any]]
    commands: list[str]
    refused: list[Refusal]
    remarks: list[str]
    identity: str
    engine: str
    engine_version: str
    provider: str
    model: str
    file_sha256: str
    tokens: Tokens | None
    cost: Cost | None
    duration_seconds: float
    removed: bool
    token_dead: bool


class _Stopped(Exception):
    """Before the engine was started: (outcome, reason)."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """What a change comes to. before: the live object. content: of the file. expected: the server's own outcome."""

    path: str
    before: dict[str, Any] | None
    content: str
    expected: dict[str, Any]


def carry_out(api: Api, change: Mapping[str, Any], settings: Settings, say: Show = nobody) -> Report:
    """Let kubectl-ai apply an approved change, at most once. say: told what happens, as (text, colour)."""
    _require(change, settings)
    started = time.monotonic()
    report = Report(
        outcome="unavailable",
        reason="",
        differences=[],
        commands=[],
        refused=[],
        remarks=[],
        identity="",
        engine=ENGINE,
        engine_version="",
        provider="",
        model="",
        file_sha256="",
        tokens=None,
        cost=None,
        duration_seconds=0.0,
        removed=True,
        token_dead=True,
    )
    try:
        with process.unwinding():
            _Cage(api, change, settings, say, report).run()
    except _Stopped as stop:
        report["outcome"], report["reason"] = stop.outcome, stop.reason
    report["duration_seconds"] = round(time.monotonic() - started, 3)
    return report


class _Cage:
    """One change from the first look at the program to the comparison."""

    def __init__(self, api: Api, change: Mapping[str, Any], settings: Settings, say: Show, report: Report) -> None:
        self._api, self._change, self._settings, self._report = api, change, settings, report
        self._subject: Mapping[str, str] = change["object"]
        self._say_line, self._lines = say, _LINES
        self._clean: Clean = str
        self._credentials: cage_identity.Credentials | None = None

    def run(self) -> None:
        plan = self._plan()
        prepared = self._prepare()
        self._report["file_sha256"] = hashlib.sha256(prepared.content.encode()).hexdigest()
        account = cage_identity.new(self._subject["namespace"])
        stop: _Stopped | None = None
        try:
            self._enter(account)
            result = self._let(plan, prepared)
        except _Stopped as error:
            stop = error
        except OSError as error:
            stop = _Stopped("unavailable", self._clean(f"{ENGINE} cannot be run: {error}"))
        finally:
            self._remove(account)
        self._see_it_die(prepared.path)
        if stop:
            raise stop
        self._judge(result, prepared)

    def _enter(self, account: cage_identity.Account) -> None:
        """Make the identity. Raises _Stopped where the executor may not, with parts of it made."""
        report = self._report
        try:
            if swept := cage_identity.sweep(self._api, account.namespace):
                report["remarks"].append(f"removed what killed runs had left: {', '.join(swept)}")
            report["identity"], report["removed"] = account.user, False  # from here on there may be something
            cage_identity.make(self._api, account, self._change["action"], self._subject)
            self._credentials = cage_identity.credentials(self._api, account, self._settings.connection)
            report["token_dead"] = False
            cage_identity.await_rights(self._credentials.api, self._subject)
        except AiopsError as error:
            raise _Stopped("unavailable", f"the identity for it cannot be made: {plain(error.message, _TEXT)}") from error

    def _plan(self) -> session.Plan:
        """How to run the engine. Raises _Stopped where that is not possible here."""
        environment, report = self._settings.environment, self._report
        binary, problem = kubectl_ai.find(self._settings.binary, environment)
        choice = choose(self._settings.provider, self._settings.model, environment)
        kubectl = shutil.which("kubectl", path=environment.get("PATH", session.SYSTEM_PATH)) or ""
        report["provider"], report["model"] = choice.provider, choice.model
        if not kubectl and not problem:
            problem = "kubectl is not on the PATH"
        if self._settings.confined and not confine.version():
            problem = problem or "this system has no Landlock to confine it with: set confined to false to do without"
        if problem or choice.reason:
            raise _Stopped("unavailable", problem or choice.reason)
        if not self._settings.confined:
            report["remarks"].append("not confined: switched off")
        seen = visible(choice.provider, environment)
        return session.Plan(
            binary=binary,
            provider=choice.provider,
            model=choice.model,
            kubectl=kubectl,
            kubeconfig="",
            model_environment=seen,
            network_environment=route(seen),
            readable_files=tuple(readable_files(choice.provider, environment)),
            confined=self._settings.confined,
        )

    def _prepare(self) -> _Prepared:
        """Rehearse the manifest as the executor. Raises _Stopped where it would not come to what was approved."""
        try:
            path = objects.path_of(self._api, self._subject)
            before = objects.read(self._api, self._subject)
            fault = cage_manifest.moved(self._change, before)
            if fault:
                raise _Stopped("not_applied", fault)
            expected, content, approved = self._rehearsed(path, before)
        except AiopsError as error:
            raise _Stopped("not_applied", f"the rehearsal as the executor failed: {plain(error.message, _TEXT)}") from error
        found = cage_manifest.rewritten(approved, expected, before is None)
        if found:
            self._report["differences"] = found
            raise _Stopped("not_applied", f"the dry run does not come to what was approved: {cage_manifest.named(found)}")
        return _Prepared(path, before, cage_manifest.written(content), expected)

    def _rehearsed(self, path: str, before: dict[str, Any] | None) -> tuple[dict[str, Any], Any, dict[str, Any]]:
        """(outcome of the server's dry run, what is sent, what was approved)."""
        if before is None:
            content: Any = cage_manifest.essence(self._change["manifest"])
            query = {"fieldManager": FIELD_MANAGER, "dryRun": "All", "fieldValidation": "Strict"}
            return self._api.request("PATCH", path, query, content, content_type=_APPLY_PATCH), content, content
        content, desired = cage_manifest.operations(self._change, before)
        expected = objects.patch(self._api, self._subject, content, dry_run=True)
        return {"apiVersion": before["apiVersion"], "kind": before["kind"], **expected}, content, desired

    def _let(self, plan: session.Plan, prepared: _Prepared) -> cage_session.Result:
        """Run the engine with the credentials of the cage. Raises OSError where it cannot be started."""
        if self._credentials is None:
            raise _Stopped("unavailable", "there is no identity for it")
        plan = dataclasses.replace(plan, kubeconfig=self._credentials.kubeconfig)
        self._clean = cleaner([*secret_values(plan.model_environment), self._credentials.token], None)
        subject, name = self._subject, f"{self._subject['kind'].lower()}/{self._subject['name']}"
        self._say(f"applies {name} in {subject['namespace']} as {self._report['identity']}, at most {self._settings.limit:.0f} s")
        resource = prepared.path.split("/")[-2]
        group, _slash, version = subject["apiVersion"].rpartition("/")
        with tempfile.TemporaryDirectory(prefix="aiops-cage-", ignore_cleanup_errors=True) as directory:
            program = kubectl_ai._Version(plan.binary, directory)
            full = f"{resource}.{version}.{group}" if group else resource
            approved = os.path.join(cage_session.fixed(directory), cage_session.FILE)
            task = cage_session.Task(
                content=prepared.content,
                change=cage_manifest.arguments(approved, prepared.before is None, full, subject),
                read=["get", full, subject["name"], "-n", subject["namespace"]],
                types=[*_WORDS.get(resource, ()), resource, subject["kind"].lower(), f"{resource}.{group}", full],
                name=subject["name"],
                namespace=subject["namespace"],
            )
            prompt = cage_manifest.prompt(
                cage_filter.wording(task.change), cage_filter.wording([*task.read, "-o", "yaml"]), self._clean(prepared.content)
            )
            try:
                return cage_session.run(plan, task, prompt, directory, self._settings.limit, self._decided)
            finally:
                self._report["engine_version"] = program.text()

    def _decided(self, command: str, refusal: str) -> None:
        command, refusal = plain(self._clean(command), _TEXT), plain(self._clean(refusal), _TEXT)
        if refusal:
            self._report["refused"].append({"command": command, "reason": refusal})
            self._say(f"not run: {_short(command)}: {_short(refusal)}", "yellow")
        else:
            self._report["commands"].append(command)
            self._say(f"runs: {_short(command)}", "dark gray")

    def _remove(self, account: cage_identity.Account) -> None:
        if not self._report["identity"]:
            return
        left = cage_identity.remove(self._api, account)
        self._report["removed"] = not left
        self._report["remarks"] += [f"not removed, a later run tries again: {plain(one, _TEXT)}" for one in left]

    def _see_it_die(self, path: str) -> None:
        if self._credentials is None:
            return
        seconds = cage_identity.dies(self._credentials.api, path, _DEAD_WITHIN)
        self._report["token_dead"] = seconds is not None
        if seconds is None:
            self._report["remarks"].append(f"{_DEAD_WITHIN:.0f} s after its account was removed the token was not refused with 401 yet")
            self._say("its identity is removed, but its token is not seen to be refused", "yellow")
        else:
            self._say(f"its identity is removed, its token is refused after {seconds:.1f} s", "dark gray")

    def _judge(self, result: cage_session.Result, prepared: _Prepared) -> None:
        """Compare, once nobody can change the object in the engine's name any more."""
        report, trace = self._report, result.session.trace
        report["tokens"], report["cost"] = trace.tokens(), trace.cost()
        live = objects.read(self._api, self._subject)
        found = cage_manifest.differences(prepared.expected, live)
        bypassed = result.session.went_past_the_filter
        if not found and result.begun and not bypassed:
            report["outcome"] = "applied"
            self._say("the object is as approved, field by field", "green")
            return
        same = cage_manifest.same(prepared.before, live)
        others = not same and not bypassed and cage_manifest.without_mark(prepared.expected, live)
        if same or others:
            report["outcome"], report["reason"] = self._nothing(result)
            if others:  # a patch is all or nothing: without the mark nothing of it is there
                report["reason"] += f"; meanwhile somebody else has written to the object: {cage_manifest.named(found)}"
                report["differences"] = found
        else:
            report["outcome"], report["differences"] = "different", found
            report["reason"] = (
                f"the object is not as approved: {cage_manifest.named(found)}"
                if found
                else "the object is as approved, but not by the one command"
            )
        if bypassed:
            report["reason"] += f"; a command went past the filter of this collection: {ENGINE} is too old, or cannot start Python"
        self._say(f"{report['outcome'].upper().replace('_', ' ')}: {_short(report['reason'])}", "red")

    def _nothing(self, result: cage_session.Result) -> tuple[Outcome, str]:
        """Why the object is as it was before."""
        ran = result.session
        if result.status is not None:
            return (
                "not_applied",
                f"kubectl ended with {result.status}: {plain(self._clean(result.printed), _TEXT).strip() or 'it said nothing'}",
            )
        if ran.ended.timed_out:
            heard = "" if ran.heard else "; the endpoint sent nothing"
            return "not_applied", f"{ENGINE} did not do it within {self._settings.limit:.1f} s{heard}"
        if ran.ended.bloated:
            return "not_applied", f"{ENGINE} was stopped at {process.MEMORY_BYTES >> 20} MiB of memory"
        said = transcript.answer(ran.entries, ran.ended.stdout)
        if said:
            refused = f" ({len(self._report['refused'])} other commands were refused)" if self._report["refused"] else ""
            return "not_applied", f"the model did not run the command{refused}; it said: {plain(self._clean(said), _SHOWN).strip()}"
        failure = transcript.failure(ran.entries, ran.ended.stderr, ran.ended.status)
        outcome: Outcome = "unavailable" if failure.outcome == "unavailable" else "not_applied"
        return outcome, plain(self._clean(failure.reason), _TEXT)

    def _say(self, text: str, colour: str = "") -> None:
        self._lines -= 1
        if self._lines >= 0:
            self._say_line((f"{ENGINE}: {text}", colour))


_WORDS = {"horizontalpodautoscalers": ("hpa", "horizontalpodautoscaler")}  # how people and models call them besides


def _require(change: Mapping[str, Any], settings: Settings) -> None:
    subject = change["object"]
    if change["action"] not in ("create", "patch"):
        raise BadInput(
            f"The action {change['action']} cannot be carried out by {ENGINE}.", "Only create and patch can; leave it to the executor."
        )
    if not subject.get("namespace"):
        raise BadInput(f"{subject['kind']} {subject['name']} has no namespace, so no identity can be made for it alone.")
    if not LIMITS[0] <= settings.limit <= LIMITS[1]:
        raise BadInput(f"limit is {settings.limit}.", f"Give it a number of seconds from {LIMITS[0]:.0f} to {LIMITS[1]:.0f}.")
    document = change.get("manifest" if change["action"] == "create" else "desired")
    if document is None:
        return  # a patch tests the uid of its object
    metadata = document["metadata"]
    meant = (document["apiVersion"], document["kind"], metadata.get("namespace"), metadata["name"])
    if meant != tuple(subject[key] for key in ("apiVersion", "kind", "namespace", "name")):
        raise BadInput(
            f"The approved document is {'/'.join(map(str, meant))}, and not the object {subject['kind']} {subject['name']} of the change."
        )


def _short(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
