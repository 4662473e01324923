# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The runbooks: one for every finding code, up to date, with links that lead somewhere and commands that a shell can read."""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES, runbook
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import table

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "docs" / "runbooks"
FILES = sorted(HERE.glob("*.md"))
BY_HAND = {"troubleshoot-crashloopbackoff.md"}
HEADINGS = ["Symptoms", "Look", "Decide", "Fix", "Roll back", "Escalate"]
CHANGES = (
    r"kubectl (?:-n \S+ )?(?:delete|patch|apply|scale|edit|create|replace|set|label|annotate|taint|cordon|uncordon|drain|rollout"
    r" (?!history|status)\w+)\b"
)
NEVER = (  # in commands; what must not be done may be named in the text
    "cluster-admin",
    "enforce=privileged",
    "privileged: true",
    '"failurePolicy"',
    '"finalizers"',
    "insecure",
    "runAsNonRoot: false",
    "runAsUser: 0",
)


def _load() -> Any:
    found = importlib.util.spec_from_file_location("render_runbooks", HERE / "source" / "render.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


render = _load()


def _shell(text: str) -> list[str]:
    return [textwrap.dedent(block) for _indent, block in re.findall(r"^( *)```shell\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)]


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_every_code_has_text_and_nothing_else_has() -> None:
    assert list(render.entries()) == list(CODES)
    rendered = {Path(runbook(code)).name for code in CODES}
    assert {path.name for path in HERE.glob("troubleshoot-*.md")} == rendered | BY_HAND


def test_what_is_rendered_is_up_to_date() -> None:
    stale = [path.name for path, text in render.rendered().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert not stale, f"run make runbooks: {', '.join(stale)}"


@pytest.mark.parametrize("code", [code for code in CODES if table.PROPOSERS.get(code)])
def test_the_proposals_are_those_of_the_table(code: str) -> None:
    text = (ROOT / runbook(code)).read_text(encoding="utf-8")
    assert render.proposals(code) and all(f"- {one}\n" in text for one in render.proposals(code))


def test_a_proposer_without_a_sentence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.PROPOSERS, "ClaimLost", (test_every_code_has_text_and_nothing_else_has,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"ClaimLost: say in PROPOSES .*test_every_code"):
        render.rendered()


def test_a_variable_without_a_meaning_is_named() -> None:
    with pytest.raises(ValueError, match="say in VARIABLES what NOBODY is"):
        render.used({"look": "kubectl get $NOBODY", "fix": "", "undo": "true"})


def test_every_runbook_has_the_same_headings_and_assigns_what_it_uses() -> None:
    for code in CODES:
        text = (ROOT / runbook(code)).read_text(encoding="utf-8")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert [one for one in headings if one in HEADINGS] == HEADINGS, code
        head, rest = text.split("## Symptoms")
        assigned = set(re.findall(r"^([A-Z_]+)=", head, re.MULTILINE))
        commands = "\n".join(_shell(rest))
        assert set(re.findall(r"\$\{?([A-Z][A-Z_]*)", commands)) <= assigned, code


def test_what_looks_changes_nothing_and_no_command_loosens_security() -> None:
    for code in CODES:
        text = (ROOT / runbook(code)).read_text(encoding="utf-8")
        look = "\n".join(_shell(text.split("## Look")[1].split("## Decide")[0]))
        assert not re.findall(CHANGES, look), code
        commands = "\n".join(line for block in _shell(text) for line in block.splitlines() if not line.lstrip().startswith("#"))
        assert not [word for word in NEVER if word in commands], code


def test_only_what_was_killed_for_memory_gets_a_higher_limit() -> None:
    text = (ROOT / runbook("KilledNotOOM")).read_text(encoding="utf-8")
    assert "set resources" not in text and "Do not raise the memory limit" in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_links_lead_somewhere_and_commands_can_be_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _sharp, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name}: {target}"
        assert not anchor or file.suffix != ".md" or anchor in _anchors(file), f"{path.name}: {target}"
    for name in re.findall(r"docs/examples/[\w/.-]+\.yaml", text):
        assert (ROOT / name).exists(), f"{path.name}: {name}"
    read = subprocess.run(["bash", "-n"], input="\n".join(_shell(text)), capture_output=True, text=True, check=False)
    assert read.returncode == 0 and not read.stderr, f"{path.name}: {read.stderr}"


def test_no_runbook_names_this_machine() -> None:
    for path in [*FILES, *(HERE / "source").iterdir()]:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert str(ROOT) not in text and not re.search(r"(?<![\w.])/(?:work|home|root)/", text), path.name
            assert not re.search(rf"(?<![\w.-]){re.escape(socket.gethostname())}(?![\w.-])", text), path.name


def test_the_index_names_every_code_and_every_symptom() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    by_symptom, by_area = text.split("## By area")
    for code, fields in render.entries().items():
        assert f"[{code}]({Path(runbook(code)).name}) | {CODES[code].means} |" in by_area
        assert all(f"| {one} |" in by_symptom for one in fields["shows"]), code
