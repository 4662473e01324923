# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tool says, how it fails, and how it calls other programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_STARTED = time.monotonic()


class ClusterError(Exception):
    """An expected failure: its text is for the person at the terminal and is shown without a traceback."""


def elapsed() -> float:
    """Seconds since the tool was started."""
    return time.monotonic() - _STARTED


def say(text: str) -> None:
    """Print one step with the seconds since the start, at once, so that a CI log shows where time goes."""
    print(f"[{elapsed():6.1f} s] {text}", flush=True)


def run(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end with its output captured; `text` goes to its standard input, `timeout` is in seconds.

    Raises ClusterError when the program is missing, takes too long, or (with `check`) exits with a status other than 0.
    """
    words = [str(word) for word in command]
    stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", env=env, timeout=timeout, check=False, **stdin
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{' '.join(words)} did not finish within {timeout:.0f} s") from error
    if check and done.returncode != 0:
        detail = tail(done.stderr + done.stdout)
        raise ClusterError(f"{' '.join(words)} failed (exit status {done.returncode}):\n{detail}")
    return done


def tail(text: str, lines: int = 8) -> str:
    """The last non-empty lines of `text`, indented for an error message."""
    kept = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(f"    {line[:300]}" for line in kept)


def tail_of(log: Path, lines: int = 8) -> str:
    """The last lines of a log file, or a note that there is none; reads at most 64 KiB."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 65536))
            return tail(stream.read().decode(errors="replace"), lines) or f"    ({log} is empty)"
    except OSError:
        return f"    (no log at {log})"


def wait_until(probe: Callable[[], str], seconds: float, interval: float = 0.15) -> str:
    """Call `probe` until it returns "" (all well) or `seconds` have passed; returns its last answer."""
    deadline = time.monotonic() + seconds
    while True:
        complaint = probe()
        if not complaint or time.monotonic() > deadline:
            return complaint
        time.sleep(interval)


def write_private(path: Path, content: str | bytes) -> None:
    """Write `content` with mode 0600 by rename, so that no reader sees half a file or a wider mode."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, or None when there is no readable one."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def find_program(name: str) -> Path | None:
    """Where `name` is installed, looking also in the sbin folders that an ordinary user's PATH lacks."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=search)
    return Path(found) if found else None
