# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Several drivers at once, each a process of its own: ``submit`` gives the next one that is free a task. See driver.py."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Task = dict[str, Any]
Result = dict[str, Any]


class Crew:
    """``with Crew(...) as crew``. ``prefix`` are the words of a command that each driver is started by."""

    def __init__(
        self,
        cluster: Any,
        namespace: str,
        directory: Path,
        size: int,
        first: int = 0,
        prefix: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self._pool = ThreadPoolExecutor(size)
        self._free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[str]] = []
        where = os.pathsep.join([str(ROOT), str(ROOT / ".build" / "dev"), os.environ.get("PYTHONPATH", "")])
        for number in range(first, first + size):
            words = [*prefix, sys.executable, "-m", "tests.faults.driver", cluster.kubeconfig, namespace, cluster.image, str(number)]
            driver = subprocess.Popen(
                [*words, str(directory / str(number))],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": where, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._all.append(driver)
            self._free.put(driver)

    def submit(self, task: Task) -> Future[Result]:
        return self._pool.submit(self._run, task)

    def _run(self, task: Task) -> Result:
        driver = self._free.get()
        assert driver.stdin and driver.stdout
        try:
            driver.stdin.write(json.dumps(task) + "\n")
            driver.stdin.flush()
            line = driver.stdout.readline()
        finally:
            self._free.put(driver)
        assert line, f"the driver ended with {driver.wait(timeout=10)} at {task}"
        return json.loads(line)  # type: ignore[no-any-return]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for driver in self._all:
            assert driver.stdin
            driver.stdin.close()
            driver.wait(timeout=60)
