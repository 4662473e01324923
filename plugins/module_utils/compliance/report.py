# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The document of a compliance run as lines for the terminal, as Markdown and as JUnit; pure functions of that document.

Messages quote what strangers wrote. They are one line without control characters already (model.plain); here they are escaped for the
format. Reports stay short however many records there are: healthy records are counted, and findings beyond a limit are left to the JSON.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Mapping
from xml.etree import ElementTree

from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import ERROR, INFO, WARNING
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

Document = Mapping[str, Any]
Line = tuple[str, str]
_ON_SCREEN, _OF_EACH, _PER_CHECK = 10, 3, 50
_COLOURS = {ERROR: "red", WARNING: "yellow", INFO: ""}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~&])")
_AUTOLINK = re.compile(r"(?i):(?=//)|(?<=\bwww)\.|@")  # GitHub makes links of bare addresses, and notifies people


def lines(document: Document, strict: bool, files: list[str]) -> list[Line]:
    """What the terminal shows."""
    count = {severity: sum(one["severity"] == severity for one in document["findings"]) for severity in (ERROR, WARNING, INFO)}
    shown: list[Line] = [(_checked(document), "")]
    shown += [(f"not compared: {one['what']}: {one['missing']}", "yellow") for one in document["coverage"]["not_evaluated"]]
    shown += [(f"warning: {one}", "yellow") for one in document["coverage"]["warnings"]]
    shown += _told(document)
    bad = count[ERROR] or (strict and count[WARNING])
    shown.append((share_text(document["share"]), "green" if document["share"]["percent"] in (None, 100.0) else "red"))
    shown.append(
        (
            f"{_number(count[ERROR], 'error')}, {_number(count[WARNING], 'warning')}",
            "red" if bad else "yellow" if count[WARNING] else "green",
        )
    )
    return shown + ([(f"report: {', '.join(files)}", "bright cyan")] if files else [])


def _told(document: Document) -> list[Line]:
    """The first findings of each check that failed, errors first."""
    grouped: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for one in document["findings"]:
        if one["severity"] != INFO:
            grouped[(one["code"], one["severity"])].append(one)
    shown: list[Line] = []
    for (code, severity), found in list(grouped.items())[:_ON_SCREEN]:
        shown += [(f"{code} {severity}: {_subject(one)}: {one['message']}", _COLOURS[severity]) for one in found[:_OF_EACH]]
        shown += [(f"{code} {severity}: and {len(found) - _OF_EACH:,} more", _COLOURS[severity])] if len(found) > _OF_EACH else []
        shown += [(f"    fix: {found[0]['fix']}", "")] if found[0]["fix"] else []
    left = len(grouped) - _ON_SCREEN
    return shown + ([(f"and findings of {left} more checks", "")] if left > 0 else [])


def share_text(share: Mapping[str, Any]) -> str:
    """The figure that the requirements set a target for, in words."""
    if share["percent"] is None:
        text = "documented with approval: no medium or critical operation was carried out yet (target 100 %)"
    else:
        text = (
            f"documented with approval: {share['percent']:g} % of medium and critical operations ({share['documented']} of"
            f" {share['operations']}; target 100 %)"
        )
    text += f", {share['without_record']} of them without a record" if share["without_record"] else ""
    return text + (f"; {share['open']} under way" if share["open"] else "")


def markdown(document: Document) -> str:
    """The report for people."""
    share, coverage = document["share"], document["coverage"]
    parts = [
        "# Compliance report",
        "\n".join(
            [
                f"- {_plain(_checked(document))}",
                f"- **{_plain(share_text(share))}**",
                f"- {_plain(_totals(document))}",
                f"- made at {document['started']} in {document['duration_seconds']} s",
            ]
        ),
    ]
    notes = [f"- Not compared: {_plain(one['what'])}: {_plain(one['missing'])}" for one in coverage["not_evaluated"]]
    notes += [f"- Warning: {_plain(one)}" for one in coverage["warnings"]]
    parts += ["\n".join(notes)] if notes else []
    parts += [f"**The run failed: {_plain(document['error'])}**"] if document["error"] else []
    parts += ["## Findings", *(_sections(document) or ["None."])]
    rows = [f"| {one['code']} | {_plain(one['title'])} | {_plain(one['requirement'])} | {_result(one)} |" for one in document["checks"]]
    parts += ["## Checklist", "\n".join(["| check | what has to hold | requirement | result |", "| --- | --- | --- | --- |", *rows])]
    parts.append("What each check withstands, and what to do about a finding: docs/compliance.md, docs/runbooks/compliance-findings.md.")
    return "\n\n".join(parts) + "\n"


def junit(document: Document, strict: bool) -> bytes:
    """JUnit as Jenkins and GitLab read it: a test suite per check, in it one test for the check, or one per record or object that failed."""
    root = ElementTree.Element("testsuites", name="aiops.k8s compliance", time=str(document["duration_seconds"]))
    findings: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for one in document["findings"]:
        findings[one["code"]].append(one)
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for check in document["checks"]:
        counted = _suite(root, document, check, findings[check["code"]], strict)
        totals = {name: totals[name] + counted[name] for name in totals}
    if document["error"]:
        suite = ElementTree.SubElement(
            root, "testsuite", name="run", tests="1", failures="0", errors="1", skipped="0", timestamp=_moment(document)
        )
        case = ElementTree.SubElement(suite, "testcase", classname="aiops.k8s.compliance", name="run", time="0")
        ElementTree.SubElement(case, "error", message=document["error"])
        totals = {**totals, "tests": totals["tests"] + 1, "errors": 1}
    root.attrib.update({name: str(number) for name, number in totals.items()})
    ElementTree.indent(root)
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _checked(document: Document) -> str:
    coverage = document["coverage"]
    made = sum(not one["skipped"] for one in document["checks"])
    if not coverage["records"]:
        text = f"There are no records in {document['store']['path']}; {made} checks made"
    else:
        text = (
            f"{_number(coverage['records'], 'record')} with {_number(coverage['operations'], 'operation')} in {document['store']['path']},"
            f" {made} checks"
        )
    if document["cluster"]:
        where = f" (namespaces {', '.join(coverage['namespaces'])})" if coverage["namespaces"] else ""
        text += f", {coverage['compared']} compared with {document['cluster']['server']}{where}"
    return text


def _totals(document: Document) -> str:
    count = [sum(one["severity"] == severity for one in document["findings"]) for severity in (ERROR, WARNING, INFO)]
    return f"{_number(count[0], 'error')}, {_number(count[1], 'warning')}, {_number(count[2], 'remark')}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _subject(one: Mapping[str, str]) -> str:
    return ", ".join(part for part in (f"record {one['record']}" if one["record"] else "", one["object"]) if part) or "store"


def _sections(document: Document) -> list[str]:
    titles = {check["code"]: check["title"] for check in document["checks"]}
    grouped: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for one in document["findings"]:
        grouped[(one["severity"], one["code"])].append(one)
    parts = []
    for (severity, code), found in grouped.items():
        rows = [f"- {_plain(_subject(one))}: {_plain(one['message'])}" for one in found[:_PER_CHECK]]
        rows += [f"- and {len(found) - _PER_CHECK} more, in the JSON report"] if len(found) > _PER_CHECK else []
        fixes = list(dict.fromkeys(one["fix"] for one in found if one["fix"]))[:3]
        rows += [f"\nWhat to do: {_plain(' Or: '.join(fixes))}"] if fixes else []
        parts += [f"### {code} ({severity}): {_plain(titles.get(code, ''))}", "\n".join(rows)]
    return parts


def _result(check: Mapping[str, Any]) -> str:
    if check["skipped"]:
        return f"not made: {_plain(check['skipped'])}"
    if not check["checked"] and not check["failed"]:
        return f"no {check['subjects']}"
    return (
        f"{'**' if check['failed'] else ''}{check['failed']} of {check['checked']} failed{'**' if check['failed'] else ''}"
        if check["failed"]
        else f"{check['checked']} ok"
    )


def _suite(
    root: ElementTree.Element, document: Document, check: Mapping[str, Any], findings: list[Mapping[str, str]], strict: bool
) -> dict[str, int]:
    failing = [one for one in findings if one["severity"] == ERROR or (strict and one["severity"] == WARNING)]
    others = [one for one in findings if one not in failing]
    suite = ElementTree.SubElement(root, "testsuite", name=f"{check['code']} {check['title']}", timestamp=_moment(document))
    for one in failing:
        case = ElementTree.SubElement(suite, "testcase", classname=f"aiops.k8s.compliance.{check['code']}", name=_subject(one), time="0")
        failure = ElementTree.SubElement(case, "failure", message=one["message"], type=one["severity"])
        failure.text = f"{check['requirement']}\n{one['message']}\n{one['fix']}"
    if not failing:
        case = ElementTree.SubElement(suite, "testcase", classname=f"aiops.k8s.compliance.{check['code']}", name=check["title"], time="0")
        if check["skipped"]:
            ElementTree.SubElement(case, "skipped", message=check["skipped"])
        if others:
            ElementTree.SubElement(case, "system-out").text = "\n".join(
                f"{one['severity']}: {_subject(one)}: {one['message']}" for one in others
            )
    counted = {"tests": max(1, len(failing)), "failures": len(failing), "errors": 0, "skipped": int(bool(check["skipped"]) and not failing)}
    suite.attrib.update({**{name: str(number) for name, number in counted.items()}, "time": "0"})
    return counted


def _moment(document: Document) -> str:
    return clock.parse(document["started"]).strftime("%Y-%m-%dT%H:%M:%S")


def _plain(text: str) -> str:
    """Text that draws no heading, list, link, table cell or HTML."""
    escaped = _SPECIAL.sub(r"\\\1", text)
    return _AUTOLINK.sub(r"\\\g<0>", escaped)
