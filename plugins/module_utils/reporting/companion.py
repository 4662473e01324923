# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A PHR as one HTML file with its plots inside, for records that have attachments: the same name as the PHR, ``.html``.

The PHR's Markdown is converted, so that both say the same and there is one renderer to trust. markdown-it-py does that: it follows
CommonMark, which the PHR's escapes are made for, and is maintained and small. Raw HTML, links and pictures are switched off in it; what
the PHR itself writes as HTML, the fold around a prompt, is recognised by its exact form, which escaped text cannot have.

Pure: the same events and the same files give the same document. Errors: MissingLibrary where markdown-it-py is not installed.
"""

from __future__ import annotations

import html
import re
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import MissingLibrary, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, state
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import attachments, page

_PLOTS = "Plots"  # the heading of the PHR below which the pictures stand
_FOLD = re.compile(r"^<details><summary>([^<>]*)</summary>\Z")
_OFF = ("link", "image", "autolink", "html_inline", "html_block", "reference")


def file_name(events: list[Event]) -> str:
    """``0007-rightsize-deployment-web-in-namespace-shop.misc.prompt.html``."""
    return phr.file_name(events).removesuffix(".md") + ".html"


def render(events: list[Event], contents: Mapping[str, bytes | str], document: str = "") -> str:
    """The whole page. contents: {name: the file, or what is wrong with it}, as attachments.read gives it; document: the PHR, if at hand."""
    proposal, plan = events[0]["payload"], events[0]["payload"].get("plan")
    body = _body((document or phr.render(events)).split("\n---\n\n", 1)[1], _pictures(events, contents))
    target = proposal["target"]
    known = page.facts(
        [
            ("State", state(events).replace("_", " ")),
            ("Target", f"{target['kind']} {target.get('namespace', '')}/{target['name']}"),
            ("Cluster", proposal["cluster"].get("server", "")),
            ("Risk", plan["risk"] if plan else "no change"),
            ("Digest of the plan", proposal.get("digest") or "none"),
            ("Newest event", f"{len(events)}, {events[-1]['hash']}"),
        ]
    )
    note = (
        f'<p class="soft">Rendered from the record {page.text(proposal["id"])}.jsonl, which alone counts. Verify it with'
        " <code>ansible-playbook aiops.k8s.compliance</code>.</p>"
    )
    head, rest = body.split("</h1>", 1)
    return page.page(f"{proposal['id']}: {proposal['title']}", f"{head}</h1>\n{known}\n{note}{rest}")


def files_of(folder: str, events: list[Event]) -> dict[str, bytes]:
    """{file name: content} of what lies beside a PHR in this folder: the page, and those attachments that are as recorded."""
    listed = attachments.of(events)
    if not listed:
        return {}
    with files.folder(folder) as directory:
        contents = attachments.read(directory, events)
    identifier = events[0]["payload"]["id"]
    found = {attachments.file_name(identifier, name): data for name, data in contents.items() if isinstance(data, bytes)}
    try:
        return {**found, file_name(events): render(events, contents).encode()}
    except MissingLibrary:  # the store says so where it writes the page
        return found


def _pictures(events: Sequence[Event], contents: Mapping[str, bytes | str]) -> str:
    found = []
    for one in attachments.of(events):
        data = contents.get(one["name"], "It was not read.")
        if isinstance(data, bytes):
            found.append(page.picture(data, str(one.get("title")), str(one.get("text"))))
        else:
            said = f"<strong>{page.text(one.get('title'))}</strong> is not shown. {page.text(data)} {page.text(one.get('text'))}"
            found.append(f'<p class="warning" role="alert">{said}</p>')
    return "\n".join(found)


def _body(markdown: str, pictures: str) -> str:
    """The PHR's text as HTML, with the pictures below their heading, or at the end of a PHR that has none."""
    made = library("markdown_it").MarkdownIt("commonmark", {"html": False}).enable("table").disable(list(_OFF))
    tokens = made.parse(_printable(markdown))
    text = str(made.renderer.render(_folded(tokens), made.options, {}))
    text = text.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    before, found, after = text.partition(f"<h3>{_PLOTS}</h3>\n")
    return f"{before}{found}{pictures}\n{after}" if found else f"{text}\n<h2>{_PLOTS}</h2>\n{pictures}"


def _folded(tokens: list[Any]) -> list[Any]:
    """The PHR's own ``<details>`` as HTML: paragraphs of exactly this form."""
    found: list[Any] = []
    index = 0
    while index < len(tokens):
        one = tokens[index]
        inner = tokens[index + 1].content if one.type == "paragraph_open" and index + 1 < len(tokens) else ""
        fold = _FOLD.match(inner)
        if fold or inner == "</details>":
            block = library("markdown_it.token").Token("html_block", "", 0, block=True)
            block.content = f"<details><summary>{html.escape(html.unescape(fold[1]))}</summary>\n" if fold else "</details>\n"
            found.append(block)
            index += 3
        else:
            found.append(one)
            index += 1
    return found


def _printable(text: str) -> str:
    """Without control characters and marks that turn the direction of writing; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
