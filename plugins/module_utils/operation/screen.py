# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a person sees on the terminal: [(text, colour)], wrapped to the width, without markup or control characters.

Colours are Ansible's names (utils/color.py) or "" for none; whether they are shown is the caller's display's business.
"""

from __future__ import annotations

import textwrap
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, patch, policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import SHORT
from ansible_collections.aiops.k8s.plugins.module_utils.operation.plan import named

Line = tuple[str, str]
_SEVERITY = {"critical": "red", "warning": "yellow", "info": "blue"}
_RISK = {"critical": "red", "medium": "yellow", "low": "green"}
_STATE = {"closed": "green", "validated": "green", "failed": "red", "rolled_back": "red", "rejected": "yellow", "expired": "yellow"}
_MOST_AFFECTED = 8
_LABEL = 10  # columns of the label before a wrapped text


def proposal(document: Mapping[str, Any], identifier: str, digest: str, width: int) -> list[Line]:
    """One proposal in full: findings, evidence, plan with diff, risk, undo, checks."""
    lines: list[Line] = [_rule(f"{identifier}  {document['title']}" if identifier else document["title"], width)]
    facts = {fact["id"]: fact for fact in document["evidence"]}
    for finding in document["findings"]:
        colour = _SEVERITY[finding["severity"]]
        lines += [("", ""), *_labelled(finding["severity"].upper(), f"{finding['code']}: {finding['title']}", width, colour)]
        lines += _labelled("cause", finding["root_cause"], width)
        lines += _affected(finding.get("affects") or [], width)
        lines += _labelled("fix", finding["suggested_fix"], width)
        for one in finding["evidence"]:
            fact = facts[one]
            when = f" at {fact['time']}" if fact["time"] else ""
            lines += _labelled(one, f"{fact['source']}{when}", width, "dark gray")
            lines += [(f"{'':{_LABEL}}| {text}", "") for text in _wrap(fact["excerpt"], width - _LABEL - 2)[:4]]
    for section in document.get("sections", []):
        lines += [
            line
            for number, text in enumerate(section["lines"])
            for line in _labelled("" if number else section["label"], text, width, "" if number else "bright blue")
        ]
    for opinion in document.get("opinions", []):
        lines += _labelled(opinion["engine"], _opinion(opinion), width, "yellow" if opinion.get("agrees") is False else "")
        lines += [line for one in opinion.get("differs") or [] for line in _labelled("differs", one, width, "yellow")]
        for extra in opinion.get("extra_findings") or []:
            lines += _labelled(
                "also", f"{extra['title']} ({named(extra['object'])}, {', '.join(extra['evidence'])}): {extra['root_cause']}", width
            )
    for number, one in enumerate(document.get("earlier", [])):
        lines += _labelled("" if number else "before", f"{one['id']} ({one['time'][:16].replace('T', ' ')}): {one['what']}", width)
    return [
        *lines,
        ("", ""),
        *(
            _plan(document, digest, width)
            if document["plan"]
            else [*_labelled("no change", f"{document['no_plan_reason']}.", width, "yellow"), *_by_hand(document)]
        ),
    ]


def _affected(others: Sequence[Mapping[str, str]], width: int) -> list[Line]:
    """What else fails because of a finding: the first few by name; the PHR has them all."""
    more = len(others) - _MOST_AFFECTED
    shown = [named(one) for one in others[:_MOST_AFFECTED]] + ([f"{more} more"] if more > 0 else [])
    return _labelled("affects", ", ".join(shown), width) if shown else []


def _by_hand(document: Mapping[str, Any]) -> list[Line]:
    """Commands for a person, never wrapped: they are there to be copied."""
    return [(f"{'' if number else 'by hand':{_LABEL}}{printable(line)}", "") for number, line in enumerate(document.get("by_hand", []))]


def _opinion(opinion: Mapping[str, Any]) -> str:
    if opinion.get("agrees") is not None:
        verdict = "agrees" if opinion["agrees"] else "DISAGREES"
        return f"{verdict} ({opinion.get('model')}, {opinion.get('duration_seconds')} s): {opinion.get('root_cause')}"
    return f"{opinion['outcome']}: {opinion.get('reason')}"


def _plan(document: Mapping[str, Any], digest: str, width: int) -> list[Line]:
    plan = document["plan"]
    lines = _labelled("CHANGE", plan["summary"], width, "bright cyan")
    for change in plan["changes"]:
        lines += _labelled("", f"{change['action']} {named(change['object'])}", width)
        for line in change["outcome"]:
            lines += [(f"{'':{_LABEL}}  {text}", "") for text in _wrap(f"{line['path']}:", width - _LABEL - 2)]
            for sign, value, colour in (("-", line["before"], "red"), ("+", line["after"], "green")):
                if value is not None:
                    lines += [(f"{'':{_LABEL}}{sign}   {text}", colour) for text in _wrap(patch.short(value, 600), width - _LABEL - 4)]
        if change["dry_run"] == "local":
            lines += _labelled("", "(computed locally; not rehearsed by the API server)", width, "yellow")
    lines += [line for note in plan.get("notes", []) for line in _labelled("note", note, width)]
    lines += _labelled("risk", f"{plan['risk']}: {'; '.join(plan['risk_reasons'])}", width, _RISK[plan["risk"]])
    lines += _labelled("policy", "; ".join(policy.rules_of(plan["policy"])), width)
    lines += _labelled("undo", plan["undo"], width)
    lines += [
        line for number, check in enumerate(plan["checks"]) for line in _labelled("" if number else "proof", checks.describe(check), width)
    ]
    lines += _labelled("not done", "; ".join(document["not_chosen"]), width) if document.get("not_chosen") else []
    return lines + (_labelled("digest", f"{digest[:SHORT]} (decide by {plan['expires']})", width, "bright cyan") if digest else [])


def repeated(record: str, why: str, command: str, width: int) -> list[Line]:
    """That a proposal is on record already, and what to do with that record."""
    lines = _labelled("again", f"not recorded once more: record {record} {why}", width, "yellow")
    return lines + ([(f"{'':{_LABEL}}next: {printable(command)}", "bright cyan")] if command else [])


def policies(found: Mapping[str, Mapping[str, Any]], width: int) -> list[Line]:
    """What is asked for per risk class."""
    rows = []
    for risk, settings in found.items():
        rows += _labelled(
            risk,
            f"can be decided for {clock.span(settings['plan_minutes'] * 60)}; {'; '.join(policy.rules_of(settings))}",
            width,
            _RISK[risk],
        )
    return rows


def question(record: str, digest: str) -> str:
    """What the architect is asked."""
    return f"Record {record}: type  approve {digest[:SHORT]}  or  reject REASON\n(anything else leaves it proposed)"


def outcome(record: str, state: str, reason: str, document_path: str, command: str, width: int) -> list[Line]:
    """The last lines about one record: what happened, where the PHR is, what to do next."""
    lines = _labelled(record, f"{state}{f': {reason}' if reason else ''}", width, _STATE.get(state, "bright cyan"))
    command = printable(command)
    lines += [(f"{'':{_LABEL}}PHR: {printable(document_path)}", "")]  # never wrapped: it is there to be copied
    lines += [(f"{'':{_LABEL}}next: {command}", "bright cyan")] if command else []
    if state == "proposed" and command:
        lines.append((f"{'':{_LABEL}}then: {command.partition(' -e decision=')[0].replace('k8s.approve', 'k8s.execute')}", "bright cyan"))
    return lines


def table(records: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    """The list of records, in the order given: what waits and what is unfinished, each with a heading of its own, then the others."""
    waiting = f"{'record':7}{'risk':9}{'waits':>10}  {'decision due':19}{'decide by (UTC)':17}"
    unfinished = f"{'record':7}{'state':13}{'risk':9}{'what is left':34}"
    others = [one for one in records if one.get("group") not in ("waiting", "unfinished")]
    return [
        *_whole([(one, _waiting(one)) for one in records if one.get("group") == "waiting"], waiting, width),
        *_whole([(one, _unfinished(one)) for one in records if one.get("group") == "unfinished"], unfinished, width),
        *([(f"{'record':7}{'state':13}{'risk':9}{'age':>11}  title", "bright cyan")] if others else []),
        *(_brief(one, width) for one in others),
    ]


def _waiting(one: Mapping[str, Any]) -> str:
    late, left = one["overdue_seconds"], (one["sla_minutes"] or 0) * 60 - one["waiting_seconds"]
    due = f"{clock.span(late)} ago" if one["overdue"] else f"in {clock.span(left)}"
    until = f"{one['expires'][5:10]} {one['expires'][11:16]}"
    return f"{one['id']:7}{one['risk'] or '-':9}{clock.span(one['waiting_seconds']):>10}  {due:19}{until:17}"


def _unfinished(one: Mapping[str, Any]) -> str:
    return f"{one['id']:7}{one['state']:13}{one['risk'] or '-':9}{one['left']:34}"


def _whole(rows: list[tuple[Mapping[str, Any], str]], heading: str, width: int) -> list[Line]:
    """Rows that somebody has to act upon, with their whole titles: where one does not fit, all stand on lines of their own."""
    below = any(len(facts) + len(one["title"]) > width for one, facts in rows)
    lines: list[Line] = [(f"{heading}title"[:width], "bright cyan")] if rows else []
    for one, facts in rows:
        colour = "red" if one["overdue"] else _STATE.get(one["state"], "")
        for text in (facts.rstrip(), f"{'':7}{one['title']}") if below else (f"{facts}{one['title']}",):
            lines.append((printable(text)[:width], colour))
    return lines


def _brief(one: Mapping[str, Any], width: int) -> Line:
    facts = f"{one['id']:7}{one['state']:13}{one['risk'] or '-':9}{clock.span(one['age_seconds']):>11}"
    colour = "red" if one["state"] == "damaged" else _STATE.get(one["state"], "")
    remark = f"({one['remark']}) " if one["remark"] else ""  # before the title, which may be cut
    return printable(f"{facts}  {remark}{one['title']}")[:width], colour


def printable(text: str) -> str:
    """Without control characters: what a container logged must not drive the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _rule(text: str, width: int) -> Line:
    return f"{'-' * 3} {printable(text)} ".ljust(width, "-")[:width], "bright cyan"


def _labelled(label: str, text: str, width: int, colour: str = "") -> list[Line]:
    label = printable(label)
    column = max(_LABEL, len(label) + 1)
    wrapped = _wrap(text, width - column) or [""]
    return [(f"{'' if number else label:{column}}{part}", colour) for number, part in enumerate(wrapped)]


def _wrap(text: str, width: int) -> list[str]:
    return [part for line in str(text).splitlines() for part in textwrap.wrap(printable(line), max(20, width), break_on_hyphens=False)]
