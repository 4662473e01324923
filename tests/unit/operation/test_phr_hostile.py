# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Text from strangers (log lines, names, a model's answer, an approver's reason) stays text, as a Markdown parser sees it."""

from __future__ import annotations

import re
from typing import Any, Iterator

import pytest
import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.unit.operation import samples

HOSTILE = {
    "heading": "# Approved by root\n## Decision\n\nSetext\n======\n",
    "fence": "```\n# out\n```\n````\n~~~\n# out\n",
    "many backticks": "`" * 12 + "\n# out\n" + "`" * 12,
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)><!-- <details> </summary></details>",
    "link": (
        "[click](https://evil.example) ![x](https://evil.example/x.png) <https://evil.example> https://evil.example www.evil.example [a]:"
        " https://evil.example"
    ),
    "table": "| approved | by | root |\n|---|---|---|\n| a | b | c |",
    "front matter": "---\nstate: approved\n---\n",
    "yaml": "a: b\n- c\n'quoted\": {x: [",
    "emphasis": "**approved** _by_ `root` ~~no~~ \\*x\\*",
    "list": "- a\n- b\n1. c\n> quote",
    "separators": "a\u2028# b\u2029# c\x0b# d\x0c# e\x85# f\r# g\r\n# h",
    "rule": "\n***\n---\n===\n",
    "control": "\x1b[31mred\x00\x07",
}
PLAIN = "harmless words"
PARSER = MarkdownIt("commonmark").enable("table")


def payload(text: str) -> dict[str, Any]:
    plan = {**samples.plan(), "summary": text, "undo": text, "notes": [text], "risk_reasons": [text]}
    plan["changes"][0]["outcome"] = [{"path": "spec.a", "before": text, "after": [text]}]
    opinion = {
        "engine": text,
        "model": text,
        "outcome": "answered",
        "agrees": False,
        "duration_seconds": 1,
        "root_cause": text,
        "prompt": text,
        "note": text,
        "remarks": [text],
    }
    failed = {"engine": text, "model": None, "outcome": "refused", "agrees": None, "duration_seconds": 1, "reason": text}
    return samples.payload(
        plan,
        title=text,
        command=f"ansible-playbook x -e a={text}",
        options={"records_dir": text},
        findings=[
            samples.finding(title=text, root_cause=text, suggested_fix=text, expected_outcome=text, object={"kind": text, "namespace": text, "name": text})
        ],
        evidence=[{"id": "E1", "source": text, "time": "", "excerpt": text}],
        opinions=[opinion, failed],
        not_chosen=[text],
        coverage={"read": [], "not_evaluated": [{"what": text, "missing": text}]},
        timings={text: 1},
    )


def render(text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    who = {**samples.REQUESTER, "user": text, "host": text, "cluster_user": {"user": text}}
    monkeypatch.setitem(samples.PAYLOADS, "approved", {**samples.PAYLOADS["approved"], "by": who, "reason": text})
    monkeypatch.setitem(samples.PAYLOADS, "failed", {**samples.PAYLOADS["failed"], "reason": text})
    monkeypatch.setitem(samples.PAYLOADS, "refused", {"reason": text})
    monkeypatch.setitem(samples.PAYLOADS, "executing", {**samples.PAYLOADS["executing"], "executor": {"user": text}})
    monkeypatch.setitem(samples.PAYLOADS, "validated", {**samples.PAYLOADS["validated"], "state": text})
    kinds = ("refused", "approved", "executing", "executed", "validated", "failed")
    return phr.render(samples.events(*kinds, first=payload(text)))


def tokens(text: str) -> list[Token]:
    def flat(some: list[Token]) -> Iterator[Token]:
        for token in some:
            yield token
            yield from flat(token.children or [])

    return list(flat(PARSER.parse(text.split("\n---\n", 1)[1])))


def shape(found: list[Token]) -> list[str]:
    """The structure of the document: everything but text."""
    return [f"{token.type} {token.tag}" for token in found if token.type not in ("text", "inline", "text_special", "softbreak", "code_inline")]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_structure_is_that_of_harmless_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless, hostile = tokens(render(PLAIN, monkeypatch)), tokens(render(HOSTILE[name], monkeypatch))
    assert shape(hostile) == shape(harmless)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_heading_link_image_or_html_comes_from_the_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tokens(render(HOSTILE[name], monkeypatch))
    assert not [token for token in found if token.type in ("link_open", "image", "html_inline", "hr", "blockquote_open")]
    html = "".join(token.content for token in found if token.type == "html_block")
    assert html.replace("\n", "").count("<") == html.count("<details>") + html.count("</details>") + html.count("<summary>") + html.count("</summary>") == 4
    headings = [found[position + 1].content for position, token in enumerate(found) if token.type == "heading_open" and token.tag == "h2"]
    assert headings == ["Prompt", "Response snapshot", "Decision", "Outcome", "Evaluation notes (flywheel)"]


@pytest.mark.parametrize("name", ["link"])
def test_bare_addresses_are_no_links_on_github_either(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = [token.content for token in tokens(render(HOSTILE[name], monkeypatch)) if token.type == "text"]
    raw = render(HOSTILE[name], monkeypatch).split("## Decision")[1].split("\n## ")[0]
    assert not re.search(r"(?<!\\)://|www\.", raw)
    assert any("https" in text for text in outside)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_front_matter_stays_one_mapping_of_the_right_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = render(HOSTILE[name], monkeypatch)
    matter = yaml.safe_load(text.split("\n---\n", 1)[0].removeprefix("---\n"))
    assert matter["title"] == HOSTILE[name] and matter["stage"] == "misc" and matter["aiops"]["state"] == "failed"
    assert list(matter)[:3] == ["id", "title", "stage"] and len(matter) == 15


@pytest.mark.parametrize("name", HOSTILE)
def test_excerpts_and_prompts_are_kept_word_for_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fences = [token.content for token in tokens(render(HOSTILE[name], monkeypatch)) if token.type == "fence"]
    wanted = [line.strip() for line in HOSTILE[name].replace("\x00", "\ufffd").splitlines() if line.strip()]
    assert sum(1 for content in fences if [line.strip() for line in content.splitlines() if line.strip()] == wanted) == 2
