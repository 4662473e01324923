# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""At the terminal, and without one: what is asked, what counts as an answer, what is shown, and that nothing ever hangs."""

from __future__ import annotations

import re
import shlex
import subprocess
import termios
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, await_memory_kills, hungry, namespace
from tests.integration.support import ESCAPE, QUICK, Ansible, begin, command, environment, wait
from tests.person import QUESTION, play

R = "0001"
# lines that are Ansible's, and those that are there to be copied and therefore never wrapped
THEIRS = re.compile(r"^(PLAY |TASK |ok: |changed: |skipping: |included: |fatal: |localhost |\[|Origin: |\(ctrl\+C|Press )")
COPIED = re.compile(r"^\s*(PHR: |next: |then: |recorded in )")
SECONDS = 90  # no run here may take longer, or it hangs


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    with namespace(cluster, "terminal") as one:
        names = ("web", "approved", "narrow", "copied-1", "copied-2", "diffed")
        one.apply(*(hungry(cluster, name) for name in names))
        await_memory_kills(one, len(names))
        yield one


@pytest.fixture()
def ansible(kubectl: Kubectl, tmp_path: Path) -> Ansible:
    return diagnosing(kubectl, tmp_path)


def diagnosing(kubectl: Kubectl, directory: Path) -> Ansible:
    return Ansible(directory, namespace=kubectl.namespace, workload="deployment/web", **QUICK)


def at_terminal(
    ansible: Ansible, answers: Sequence[str], columns: int = 100, arguments: Sequence[str] = (), colours: bool = False, **options: Any
) -> tuple[int, str]:
    """(exit status, what stood on the screen) of diagnose, with a person who answers."""
    words = command("diagnose", {**ansible.options, **options}, arguments)
    variables = environment(TERM="xterm", TMPDIR=str(ansible.temporary))
    if colours:
        del variables["ANSIBLE_NOCOLOR"]
    inside = ["env", f"--chdir={ansible.directory}", *words]
    return play(inside, answers, seconds=SECONDS, columns=columns, environment=variables)


# --- answers -------------------------------------------------------------------------------------------------------------


def test_approve(kubectl: Kubectl, ansible: Ansible) -> None:
    status, shown = at_terminal(ansible, ["approve"], workload="deployment/approved")
    record = ansible.record(R)
    assert status == 0 and [one["kind"] for one in record] == ["proposed", "approved", "executing", "executed", "validated", "closed"], shown
    decision = record[1]["payload"]
    assert decision["way"] == "terminal" and decision["by"]["established_by"] == "os_user" and decision["by"]["cluster_user"]["user"]
    assert kubectl.generation("approved") == 2 and f"{R}      closed: watched for" in shown


ANSWERS = {  # typed: (state afterwards, what is shown)
    "reject not in the middle of the sale": ("rejected", "rejected: not in the middle of the sale"),
    **dict.fromkeys(("", "yes", "y", "approve ", "approve all", "reject", "approve 00000000"), ("proposed", "stays proposed")),
}


@pytest.fixture(scope="module")
def answered(
    request: pytest.FixtureRequest, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Future[tuple[Ansible, int, str]]]:
    def answer(text: str) -> tuple[Ansible, int, str]:
        ansible = diagnosing(kubectl, tmp_path_factory.mktemp("answer"))
        return ansible, *at_terminal(ansible, [text])

    return begin(request, "answer", answer)


@pytest.mark.parametrize("answer", [pytest.param(one, marks=[] if one.startswith("reject ") else pytest.mark.attack) for one in ANSWERS])
def test_other_answers(kubectl: Kubectl, answered: dict[str, Future[tuple[Ansible, int, str]]], answer: str) -> None:
    ansible, status, shown = answered[answer].result()
    state, says = ANSWERS[answer]
    assert (status, ansible.state(R)) == (0, state), shown
    assert says in " ".join(shown.split()), shown
    assert state != "proposed" or "next: ansible-playbook aiops.k8s.approve" in shown, "the way on is not shown"
    assert kubectl.generation("web") == 1


@pytest.mark.parametrize(("key", "status"), [("a", 1), ("c", 0)], ids=["abort", "continue"])
def test_interrupt_at_the_question(kubectl: Kubectl, ansible: Ansible, key: str, status: int) -> None:
    place: Any = {"cwd": str(ansible.directory), "env": environment(TERM="xterm")}
    child = pexpect.spawn(shlex.join(command("diagnose", ansible.options)), encoding="utf-8", timeout=SECONDS, **place)
    child.expect(QUESTION)
    interrupt(child)
    child.send(key)
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus != 0) == bool(status), child.before
    assert ansible.state(R) == "proposed" and kubectl.generation("web") == 1


def interrupt(child: Any) -> None:
    """Ctrl-C, once the terminal takes single keys, and again where it was thrown away: Ansible shows a question before it is ready for the answer."""
    wait("the terminal takes single keys", lambda: not termios.tcgetattr(child.child_fd)[3] & termios.ICANON)
    for _again in range(10):
        child.sendintr()
        if child.expect(["Press 'C' to continue the play or 'A' to abort", pexpect.TIMEOUT], timeout=6) == 0:
            return
    raise AssertionError(f"Ctrl-C is not heard: {child.before}")


# --- what is shown -------------------------------------------------------------------------------------------------------


def test_eighty_columns_without_colours(ansible: Ansible) -> None:
    _status, shown = at_terminal(ansible, ["approve"], columns=80, workload="deployment/narrow")
    lines = shown.replace("\r\n", "\n").split("\n")
    ours = [line for line in lines if not THEIRS.match(line) and not COPIED.match(line)]
    assert any(line.startswith("CHANGE") for line in ours)
    assert [line for line in ours if len(ESCAPE.sub("", line)) > 80] == []
    assert [line for line in lines if "\x1b[0;" in line or "\x1b[1;" in line] == [], "colours, although ANSIBLE_NOCOLOR is set"


def test_colours(ansible: Ansible) -> None:
    _status, shown = at_terminal(ansible, [""], colours=True)
    assert re.search(r"\x1b\[0;31mCRITICAL", shown) and re.search(r"\x1b\[0;32m\s*\+   40Mi", shown)


@pytest.mark.parametrize("verbosity", ["", "-v"])
def test_our_data_is_not_dumped(ansible: Ansible, verbosity: str) -> None:
    run = ansible("diagnose", arguments=[verbosity] if verbosity else []).ok()
    dumped = [line for line in run.output.splitlines() if re.search(r'"(evidence|findings|proposals|plan|document|questions|records)":', line)]
    assert dumped == []


@pytest.mark.attack
def test_check_mode_writes_nothing(kubectl: Kubectl, ansible: Ansible) -> None:
    run = ansible("diagnose", arguments=["--check"]).ok()
    assert "check mode: no record was written" in run.output and "CHANGE" in run.output
    assert not ansible.records.exists()
    ansible("diagnose").ok()
    ansible.decide(R, arguments=["--check"]).ok()
    assert ansible.state(R) == "proposed"
    ansible.decide(R).ok()
    ansible("execute", arguments=["--check"], record=R).ok()
    assert ansible.state(R) == "approved" and kubectl.generation("web") == 1


def test_diff_mode_shows_the_change(ansible: Ansible) -> None:
    ansible.options["workload"] = "deployment/diffed"
    ansible("diagnose").ok()
    ansible.decide(R).ok()
    run = ansible("execute", arguments=["--diff"], record=R).ok()
    path = "spec.template.spec.containers[diffed].resources.limits.memory"
    assert f"-{path}: 20Mi" in run.output and f"+{path}: 40Mi" in run.output


# --- nobody there --------------------------------------------------------------------------------------------------------


def deferred(ansible: Ansible, shown: str) -> list[str]:
    """It ended at proposed, and shows the commands that go on: these, as they stand there."""
    assert ansible.state(R) == "proposed", shown
    assert not QUESTION.search(shown), "it asked, though nobody is there"
    found = [re.search(rf"^\s*{word}: (.*?)\s*$", shown, re.MULTILINE) for word in ("next", "then")]
    assert all(found), shown
    return [one.group(1) for one in found if one]


def without_terminal(ansible: Ansible, **options: Any) -> str:
    return ansible("diagnose", **options).ok().output


def in_the_background(ansible: Ansible, **options: Any) -> str:
    """A background job of a shell at a terminal: reading from the terminal would stop it."""
    job = f"set -m; {shlex.join(command('diagnose', {**ansible.options, **options}))} & wait $!; echo ended $?"
    return on_pty(ansible, ["bash", "-c", job], {}, "ended 0")


def under_a_runner(ansible: Ansible, **options: Any) -> str:
    """ansible-runner and AWX give a pseudo terminal with nobody behind it."""
    job = f"{shlex.join(command('diagnose', {**ansible.options, **options}))}; echo ended $?"
    return on_pty(ansible, ["bash", "-c", job], {"AWX_ISOLATED_DATA_DIR": str(ansible.directory)}, "ended 0")


def on_pty(ansible: Ansible, words: Sequence[str], variables: dict[str, str], end: str) -> str:
    place: Any = {"cwd": str(ansible.directory), "env": environment(TERM="xterm", **variables), "dimensions": (50, 500)}
    child = pexpect.spawn(words[0], list(words[1:]), encoding="utf-8", timeout=SECONDS, **place)
    child.expect(pexpect.EOF)
    child.close()
    shown = ESCAPE.sub("", str(child.before)).replace("\r\n", "\n")
    assert end in shown, shown
    return shown


WAYS = {
    f"{where.__name__}{' asked to prompt' if options else ''}": (where, options)
    for where in (without_terminal, in_the_background, under_a_runner)
    for options in ({}, {"approval": "prompt"})
}


@pytest.fixture(scope="module")
def left_alone(request: pytest.FixtureRequest, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[tuple[Ansible, str]]]:
    def leave(way: str) -> tuple[Ansible, str]:
        ansible, (where, options) = diagnosing(kubectl, tmp_path_factory.mktemp("alone")), WAYS[way]
        return ansible, where(ansible, **options)

    return begin(request, "way", leave)


@pytest.mark.attack
@pytest.mark.parametrize("way", WAYS)
def test_nobody_there(kubectl: Kubectl, left_alone: dict[str, Future[tuple[Ansible, str]]], way: str) -> None:
    deferred(*left_alone[way].result())
    assert kubectl.generation("web") == 1


@pytest.mark.parametrize(
    ("workload", "records", "more"),
    [("copied-1", "records", {}), ("copied-2", "my records; (1) & 'more'", {"feature": "007-other", "kubeconfig": "{copy}"})],
    ids=["plain", "odd names and a kubeconfig"],
)
def test_the_commands_shown_work_as_they_stand(kubectl: Kubectl, tmp_path: Path, workload: str, records: str, more: dict[str, str]) -> None:
    copy = tmp_path / "my kubeconfig"
    copy.write_bytes(Path(kubectl.cluster.kubeconfig).read_bytes())
    options = {name: value.replace("{copy}", str(copy)) for name, value in more.items()}
    ansible = Ansible(tmp_path, **{**QUICK, **options, "records_dir": str(tmp_path / records)})
    shown = ansible("diagnose", namespace=kubectl.namespace, workload=f"deployment/{workload}").ok().output
    ansible.feature = options.get("feature", ansible.feature)
    variables = {"KUBECONFIG": "/nonexistent", "K8S_AUTH_KUBECONFIG": "/nonexistent"} if "kubeconfig" in more else {}
    for line in deferred(ansible, shown):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    # executed by a run without a terminal, which leaves a watch that is not over yet to a later one
    assert ansible.state(R) in ("validated", "closed") and kubectl.generation(workload) == 2
    path = re.search(r"PHR: (.*?)\s*$", done.stdout, re.MULTILINE)
    assert path and (tmp_path / path.group(1)).is_file(), "the path of the PHR cannot be copied"
