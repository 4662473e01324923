# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Programs that do not want to end, do not stop printing, or leave something running."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine import confine, process

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def _run(tmp_path: Path, script: str, limit: float = 10, **more: Any) -> process.Ended:
    return process.run([sys.executable, "-c", script], environment=ENVIRONMENT, directory=str(tmp_path), limit=limit, **more)


def test_output_status_and_input(tmp_path: Path) -> None:
    ended = _run(tmp_path, "import sys; print(sys.stdin.read().upper()); print('bad', file=sys.stderr); sys.exit(3)", stdin=b"abc")
    assert (ended.status, ended.stdout, ended.stderr, ended.timed_out, ended.stopped) == (3, "ABC\n", "bad\n", False, False)
    assert not (tmp_path / "stdin").exists()


def test_nothing_of_the_callers_environment_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "secret")
    ended = _run(tmp_path, "import os; print(sorted(set(os.environ) - {'LC_CTYPE', '__CF_USER_TEXT_ENCODING'}))")
    assert ended.stdout == "['PATH', 'TMPDIR']\n"


@pytest.mark.parametrize("script", [
    "import time; time.sleep(60)",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
])
def test_the_limit_ends_it(tmp_path: Path, script: str) -> None:
    started = time.monotonic()
    ended = _run(tmp_path, script, limit=0.3)
    assert ended.timed_out and ended.status < 0 and time.monotonic() - started < 2


def test_children_of_children_end_with_it_even_in_a_session_of_their_own(tmp_path: Path) -> None:
    child = "import os, time; open('pids', 'a').write(f'{os.getpid()} '); time.sleep(60)"
    script = (
        "import subprocess, sys, time\n"
        f"for apart in (False, True): subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=apart)\n"
        "time.sleep(60)"
    )
    _run(tmp_path, script, limit=1.0)
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    time.sleep(0.1)
    assert [pid for pid in pids if _runs(int(pid))] == []


def test_a_child_that_is_left_behind_by_a_program_that_ended_is_ended_too(tmp_path: Path) -> None:
    child = "import os, time; open('pids', 'w').write(str(os.getpid())); time.sleep(60)"
    script = f"import os, subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\nwhile not os.path.exists('pids'): time.sleep(0.01)"
    assert _run(tmp_path, script).status == 0
    time.sleep(0.1)
    assert not _runs(int((tmp_path / "pids").read_text()))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_endless_output_is_bounded(tmp_path: Path) -> None:
    ended = _run(tmp_path, "while True: print('x' * 65536)")
    assert ended.status != 0 and len(ended.stdout) == process.OUTPUT_BYTES
    assert (tmp_path / "stdout").stat().st_size <= 64 << 20


def test_a_program_that_fills_the_memory_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MEMORY_BYTES", 64 << 20)
    ended = _run(tmp_path, "import time; held = b'x' * (80 << 20); time.sleep(60)")
    assert ended.bloated and not ended.timed_out and ended.status < 0


def test_done_is_enough(tmp_path: Path) -> None:
    ended = _run(tmp_path, "import time; open('done', 'w'); time.sleep(60)", enough=(tmp_path / "done").exists)
    assert ended.stopped and not ended.timed_out


def test_a_missing_program_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        process.run(["/does/not/exist"], environment=ENVIRONMENT, directory=str(tmp_path), limit=1)


def test_a_confinement_that_the_system_does_not_grant_is_an_os_error(tmp_path: Path) -> None:
    with (tmp_path / "no ruleset").open("w") as file, pytest.raises(OSError, match="confinement"):
        _run(tmp_path, "", rules=file.fileno())


def test_a_confined_program_reaches_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    """Where the kernel has no Landlock, kubectl_ai says so in its remarks; here it is a failure, so that nobody believes in a wall that is not there."""
    assert confine.version() > 0, "this kernel has no Landlock: run the tests on Linux 5.13 or later, with landlock among the active LSMs"
    secret, inside = tmp_path / "secret", tmp_path / "inside"
    secret.write_text("secret")
    inside.mkdir()
    script = f"""
import os, subprocess
def attempt(name, action):
    try: action(); print(name, "done")
    except OSError as error: print(name, type(error).__name__)
attempt("write inside", lambda: open("own", "w").write("x"))
attempt("read outside", lambda: open({str(secret)!r}).read())
attempt("write outside", lambda: open({str(tmp_path / 'new')!r}, "w"))
attempt("list outside", lambda: os.listdir("/root" if os.path.isdir("/root") else "/home"))
attempt("environment of others", lambda: open("/proc/1/environ").read())
attempt("start", lambda: subprocess.run(["/bin/ls"]))
"""
    system = [(path, confine.READ_ONLY) for path in ("/usr", "/lib", "/lib64", "/bin", sys.prefix, sys.base_prefix)]
    loaders = [str(path) for folder in ("/lib64", "/lib") for path in Path(folder).rglob("ld-*.so*")]
    programs = [(os.path.realpath(path), confine.READ | confine.EXECUTE) for path in (sys.executable, *loaders)]
    rules = confine.ruleset([*system, *programs, (str(inside), confine.EVERYTHING_BUT_EXECUTE)])
    ended = process.run([sys.executable, "-IS", "-c", script], environment=ENVIRONMENT, directory=str(inside), limit=10, rules=rules)
    os.close(rules)
    denied = ["read outside", "write outside", "list outside", "environment of others", "start"]
    assert ended.stdout.splitlines() == ["write inside done", *(f"{name} PermissionError" for name in denied)], ended.stderr
