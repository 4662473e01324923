# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Attachments of a record and the page that shows them: written before the event, verified before they are shown, safe to open."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, listing, phr, proposal
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import attachments, companion, page

from tests.unit.compliance import building
from tests.unit.compliance.conftest import Stage
from tests.unit.operation import clones, samples
from tests.unit.operation.conftest import MEMORY

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M 0 0 L 9 9"/></svg>\n'
HOSTILE = (
    'x"><script>alert(1)</script><img src=x onerror=alert(2)></details> &lt;i&gt; [a](javascript:b) ![c](http://e/f)'
    " <http://e> http://e **b** \x1b[31m\u202e `"
)


def proposed(content: str = SVG, **more: str) -> list[dict[str, str]]:
    return [{"name": "usage-1.svg", "title": "Container web", "text": "CPU: highest 200m; request before 500m.", "content": content, **more}]


def made(store: Directory, given: list[dict[str, str]] | None = None, **more: Any) -> Record:
    given = proposed() if given is None else given
    return store.create(samples.payload(samples.plan(), attachments=attachments.described(given), **more), attachments.contents(given))


def harmed(store: Directory, record: Record) -> list[str]:
    with files.folder(store.path) as directory:
        return attachments.problems(directory, record.events)


def html_of(store: Directory, record: Record) -> str:
    return Path(store.path, companion.file_name(record.events)).read_text(encoding="utf-8")


@pytest.fixture
def store() -> Iterator[Directory]:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as directory:
        yield Directory(os.path.join(directory, "records"), "004")


class Seen(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_lies_beside_the_phr_and_follows_every_event(store: Directory) -> None:
    record = made(store)
    assert sorted(os.listdir(store.path)) == sorted(
        [".lock", "0001.jsonl", "0001-usage-1.svg", phr.file_name(record.events), companion.file_name(record.events)]
    )
    assert companion.file_name(record.events) == phr.file_name(record.events)[:-3] + ".html"
    assert record.proposal["attachments"] == [
        {
            "name": "usage-1.svg",
            "title": "Container web",
            "text": "CPU: highest 200m; request before 500m.",
            "sha256": hashlib.sha256(SVG.encode()).hexdigest(),
            "bytes": len(SVG),
        }
    ]
    document = phr.render(record.events)
    assert "### Plots" in document and "0001-usage-1.svg" in document and hashlib.sha256(SVG.encode()).hexdigest() in document
    samples.reach(store, record, "executed")
    text = html_of(store, record)
    assert record.events[-1]["hash"] in text and "executed" in text and not record.warnings
    seen = Seen(text)
    [picture] = [found for tag, found in seen.elements if tag == "img"]
    assert picture["src"] == f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"
    assert picture["alt"] == "Container web. CPU: highest 200m; request before 500m."


def test_a_record_without_attachments_has_no_page_and_its_phr_is_as_ever(store: Directory) -> None:
    record = store.create(samples.payload())
    assert sorted(os.listdir(store.path)) == [".lock", phr.file_name(record.events), "0001.jsonl"]
    assert "Plots" not in phr.render(record.events)


def test_what_others_wrote_stays_text(store: Directory) -> None:
    opinion = {"engine": HOSTILE, "model": "m", "outcome": "answered", "agrees": True, "root_cause": HOSTILE, "prompt": f"{HOSTILE}\n</details>\n<b>"}
    fact = {"id": "E1", "source": HOSTILE, "time": "", "excerpt": f"{HOSTILE}\n```\n<script>alert(3)</script>"}
    section = {"label": "x", "title": HOSTILE, "lines": [HOSTILE]}
    given = proposed(title=HOSTILE, text=HOSTILE)
    record = made(
        store, given, title=HOSTILE, opinions=[opinion], evidence=[fact], sections=[section], findings=[samples.finding(root_cause=HOSTILE)]
    )
    text = html_of(store, record)
    seen = Seen(text)
    assert not seen.open
    assert {tag for tag, _found in seen.elements} <= set(
        "html head meta title style body main h1 h2 h3 p strong code pre ul li dl dt dd div table thead tbody tr th td figure figcaption"
        " img details summary br".split()
    )
    assert [tag for tag, _found in seen.elements].count("details") == 1, "the fold that the PHR writes itself"
    assert not [found for _tag, found in seen.elements if any(name.startswith("on") or name in ("href", "style") for name in found)]
    assert [str(found["src"])[:19] for _tag, found in seen.elements if "src" in found] == ["data:image/svg+xml;"]
    assert "alert(1)" in seen.text and "\x1b" not in text and "\u202e" not in text


def test_the_page_forbids_scripts_and_the_network(store: Directory) -> None:
    text = html_of(store, made(store))
    [policy] = [found["content"] for tag, found in Seen(text).elements if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style and policy and page.POLICY == policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:") and f"style-src 'sha256-{digest}'" in policy
    assert "url(" not in style[1] and "@import" not in style[1]


@pytest.mark.parametrize(
    "harm, said",
    [
        (lambda path: path.write_text(SVG.replace("9 9", "8 8")), "was changed after it was recorded"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "symbolic link"),
        (lambda path: path.write_bytes(b"x" * (attachments.LARGEST + 1)), "too large"),
        (lambda path: path.chmod(0o666), "Anybody may write"),
    ],
)
def test_a_plot_that_was_tampered_with_is_not_shown(store: Directory, harm: Any, said: str) -> None:
    record = made(store)
    harm(Path(store.path, "0001-usage-1.svg"))
    store.publish(record)
    text = html_of(store, record)
    assert "<img" not in text and 'role="alert"' in text and said in text and "is not shown" in text
    assert "highest 200m" in text, "what it showed stands in the record"


def test_nothing_is_proposed_without_the_files_that_it_describes(store: Directory) -> None:
    with pytest.raises(StoreFailed, match="usage-1.svg is not the one"):
        store.create(samples.payload(attachments=attachments.described(proposed())))
    with pytest.raises(StoreFailed, match="Nothing was proposed"):
        store.create(samples.payload(attachments=attachments.described(proposed())), {"usage-1.svg": b"another"})
    assert store.identifiers() == []


@pytest.mark.parametrize(
    "given",
    [
        proposed(name="../../x.svg"),
        proposed(name="x.html"),
        proposed(name="X.svg"),
        proposed(name="x.svg\n"),
        proposed() * 2,
        proposed("x" * (attachments.LARGEST + 1)),
        [{**proposed()[0], "name": f"n{number}.svg"} for number in range(attachments.MOST + 1)],
    ],
)
def test_attachments_that_cannot_be_kept(given: list[dict[str, str]]) -> None:
    with pytest.raises(BadInput, match="attachment"):
        attachments.described(given)


def test_a_forged_name_in_a_record_leads_nowhere() -> None:
    events = [{"payload": {"id": "0001", "attachments": [{"name": "../x.svg"}, {"name": 7}, "x", None]}}]
    assert attachments.of(events) == []


def test_the_digest_that_is_approved_covers_the_plots() -> None:
    document = samples.payload()
    one, two = (proposal.shown({**document, "attachments": attachments.described(proposed(text))}) for text in (SVG, SVG + " "))
    assert len({one, two, proposal.shown(document)}) == 3


def test_without_the_library_the_event_stands_and_the_user_is_told(store: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    record = made(store)
    assert record.state == "proposed" and not os.path.exists(os.path.join(store.path, companion.file_name(record.events)))
    assert "pip install markdown" in record.warnings[0] and store.warnings == record.warnings


def test_compliance_finds_a_plot_that_was_changed(tmp_path: Path) -> None:
    store = Directory(str(tmp_path), building.FEATURE)
    made(store)
    stage = Stage(Path(store.path).parent, [], "")
    assert not [one for one in stage.run()["findings"] if "attachment" in one["message"]]
    Path(store.path, "0001-usage-1.svg").write_text("<svg/>", encoding="utf-8")
    [found] = [one for one in stage.run()["findings"] if "attachment" in one["message"]]
    assert found["message"].startswith("Its attachment 0001-usage-1.svg is not what the record says")


def test_a_page_that_is_lost_is_rendered_again(store: Directory) -> None:
    record = made(store)
    page_path = Path(store.path, companion.file_name(record.events))
    before = page_path.read_bytes()
    rows = [listing.entry(store, record)]
    assert listing.render(store, rows, write=True) == []
    page_path.unlink()
    assert listing.render(store, rows, write=False) == [store.document(record)] and not page_path.exists()
    assert listing.render(store, rows, write=True) == [store.document(record)] and page_path.read_bytes() == before


def test_two_clones_that_take_one_number_keep_both_plots() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as directory:
        world = clones.World(Path(directory))
        a, b = world.store("a"), world.store("b")
        assert a.identifiers() == b.identifiers() == []
        other = SVG.replace("9 9", "5 5")
        made(a)
        second = made(b, proposed(other))
        assert second.identifier == "0002" and harmed(b, second) == []
        look = world.store("c")
        for identifier, content in (("0001", SVG), ("0002", other)):
            record = look.load(identifier)
            assert Path(look.path, f"{identifier}-usage-1.svg").read_text(encoding="utf-8") == content
            assert base64.b64encode(content.encode()).decode() in html_of(look, record)
        for name in ("a", "b", "c"):
            world.store(name).identifiers()
            assert clones.git(world.clone(name), "status", "--short", "--branch") == "## main...origin/main"
        Path(look.path, "0001-usage-1.svg").write_text("<svg/>", encoding="utf-8")
        samples.reach(look, look.load("0001"), "approved")
        published = clones.git(world.remote, "show", "main:history/004/0001-usage-1.svg")
        assert published + "\n" == SVG, "what was changed here is not published"
