# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One HTML page that needs nothing else: no scripts, no network, readable on a phone, on paper, in the dark, and for screen readers.

``page(title, body)`` gives the whole document; ``body`` is HTML that the caller has escaped, with ``text()``. The browser is told to load
nothing but pictures inside the page, to run nothing, and to take only our style sheet, named by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Any, Iterable, Sequence

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#595959;--paper:#fff;--tint:#f3f5f7;--edge:#d3d8de;--mark:#8a3800;--link:#0b5cad}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--soft:#a9b0b8;--paper:#15181c;--tint:#20252b;--edge:#3a424b;--mark:#ffb27a;
--link:#7db8f5}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:76rem;font:16px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--ink);
background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2rem;border-bottom:1px solid var(--edge);padding-bottom:.2rem}
h3{font-size:1.05rem;margin-top:1.5rem}
p,ul,ol,dl{max-width:62rem}li{margin:.15rem 0}
pre{background:var(--tint);border:1px solid var(--edge);border-radius:4px;padding:.6rem .8rem;overflow-x:auto;font-size:.85rem;
line-height:1.4;
overflow-wrap:normal}
code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:.9em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.9rem}dt{color:var(--soft)}dd{margin:0}
.scroll{overflow-x:auto;margin:1rem 0}
.scroll:focus-visible{outline:2px solid var(--link)}
table{border-collapse:collapse;font-size:.9rem;width:100%}caption{text-align:left;color:var(--soft);padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--edge);overflow-wrap:break-word}
thead th{position:sticky;top:0;background:var(--tint);white-space:nowrap}
.broad{max-width:110rem}.list{max-height:88vh;overflow:auto}td.name{min-width:12rem;overflow-wrap:anywhere}td.wide{min-width:15rem;
overflow-wrap:anywhere}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.danger{color:var(--mark);font-weight:600}.soft{color:var(--soft)}
figure{margin:1.2rem 0}figure img{display:block;width:100%;min-width:42rem;max-width:60rem;height:auto;background:#fff;
border:1px solid var(--edge)}
figcaption{font-size:.9rem;color:var(--soft);max-width:60rem}
.warning{border-left:4px solid var(--mark);background:var(--tint);padding:.5rem .8rem;max-width:62rem}
@media (max-width:40rem){body{padding:.7rem}dl{grid-template-columns:1fr}dt{margin-top:.3rem}
.list{max-height:none}.list thead{display:none}.list table,.list tbody,.list tr,.list td{display:block}
.list tr{border:1px solid var(--edge);border-radius:4px;margin-bottom:.8rem;padding:.4rem}
.list td,.list td.number{display:grid;grid-template-columns:6rem 1fr;border:0;padding:.1rem .2rem;text-align:left;white-space:normal}
.list td::before{content:attr(data-head);color:var(--soft);font-weight:400}.list caption{display:block}}
@media print{:root{--ink:#000;--soft:#444;--paper:#fff;--tint:#fff;--edge:#999;--mark:#000;--link:#000}
body{max-width:none;font-size:10.5pt;padding:0}pre{white-space:pre-wrap;overflow-wrap:anywhere}.scroll,.list{overflow:visible;
max-height:none}
.list table{font-size:8pt}td.name,td.wide{min-width:7rem}.list th,.list td{padding:.2rem .25rem}thead th{position:static}
tr,figure,pre{break-inside:avoid}
figure img{min-width:0}h2,h3{break-after:avoid}}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; img-src data:; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page(title: str, body: str, wide: bool = False) -> str:
    """The whole document. ``title`` is any text, ``body`` is HTML; wide: for tables of many columns."""
    kind = "broad" if wide else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body{_class(kind)}>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def text(value: Any) -> str:
    """Any text as HTML: escaped, in one line, without control characters and marks that turn the direction of writing."""
    shown = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return html.escape(" ".join(shown.split()))


def picture(svg: bytes, title: str, description: str) -> str:
    """An SVG as a picture inside the page: as such it can neither run anything nor clash with the names of another one."""
    data = base64.b64encode(svg).decode()
    return (
        f'<figure>\n<div class="scroll" tabindex="0"><img src="data:image/svg+xml;base64,{data}" alt="{text(title)}. {text(description)}">'
        f"</div>\n<figcaption>{text(title)}</figcaption>\n</figure>"
    )


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """A list of names and values."""
    return "<dl>\n" + "\n".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs) + "\n</dl>"


def table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """heads: (text, class or ""); rows: cells that are HTML already. The head stays in sight while the rows are scrolled."""
    top = "".join(f'<th scope="col"{_class(kind)}>{text(head)}</th>' for head, kind in heads)
    body = "\n".join(
        "<tr>"
        + "".join(f'<td{_class(kind)} data-head="{text(head)}"><div>{cell}</div></td>' for cell, (head, kind) in zip(row, heads))
        + "</tr>"
        for row in rows
    )
    named = f"<caption>{text(caption)}</caption>" if caption else ""
    return f'<div class="scroll list" tabindex="0"><table>{named}\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
