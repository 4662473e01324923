# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""ansible-lint, mypy and ansible-test as tests, each on the copy that lies where Ansible wants a collection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
REAL = ROOT / ".build" / "real"
COPY = REAL / "ansible_collections" / "aiops" / "k8s"
# every sanity test but the two for languages that the collection does not hold
SKIPPED_SANITY = ("pslint", "shellcheck")


@pytest.fixture(scope="module", autouse=True)
def copied() -> None:
    subprocess.run(["make", "--no-print-directory", "copy"], cwd=ROOT, check=True)


def run(*command: str, cwd: Path = COPY, **environment: str) -> None:
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REAL), **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert result.returncode == 0, f"{' '.join(command)} exited {result.returncode}\n{result.stdout[-6000:]}\n{result.stderr[-3000:]}"


def test_lint() -> None:
    run("ansible-lint", "--offline", NO_COLOR="1", ANSIBLE_LOCALHOST_WARNING="false")


def test_types_of_the_collection() -> None:
    packages = [
        part for name in ("module_utils", "plugin_utils", "action") for part in ("-p", f"ansible_collections.aiops.k8s.plugins.{name}")
    ]
    run(sys.executable, "-m", "mypy", *packages, cwd=ROOT, MYPYPATH=str(ROOT / ".build" / "dev"))


def test_types_of_the_tools() -> None:
    tools = ("cluster", "corpus", "bench", "backfill.py", "person.py", "demo.py", "scripted_llm.py", "small_model.py")
    run(sys.executable, "-m", "mypy", *(f"tests/{one}" for one in tools), cwd=ROOT)


def test_sanity() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    skipped = [part for name in SKIPPED_SANITY for part in ("--skip-test", name)]
    run("ansible-test", "sanity", "--local", "--python", version, "--color", "no", *skipped)


def test_no_ignore_file() -> None:
    assert not list(ROOT.glob("tests/sanity/ignore*")) and not (ROOT / ".ansible-lint-ignore").exists()


def test_changelog_fragments() -> None:
    run("antsibull-changelog", "lint")
