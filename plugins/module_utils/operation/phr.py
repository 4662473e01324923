# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Renders a record's events as its Prompt History Record: spec-kit's front matter and sections, our data under one key.

Pure: the same events always give the same document, so that it can be rendered again and compared. Text that came from the
cluster or from a model is escaped or stands in code blocks: it cannot draw headings, links or HTML into the record.
"""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import Any, Callable, Iterable

from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, identity, patch, policy, times, usage_proof
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import SHORT
from ansible_collections.aiops.k8s.plugins.module_utils.operation.plan import named
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last, state, undo_needed

_PLAIN = re.compile(r"^[A-Za-z0-9@%+:,./_-]+$")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")
_AUTOLINK = re.compile(r"(?i):(?=//)|(?<=\bwww)\.")  # GitHub makes links of bare addresses
_MARKER = re.compile(r"^(\d*)([-+=.)])")  # what begins a list or underlines a heading
_STAGE = "misc"
_OUTCOMES = {
    "proposed": "Waiting for a decision; nothing was changed.",
    "approved": "Approved; nothing was changed yet.",
    "rejected": "Rejected; nothing was changed.",
    "expired": "Its time ran out; nothing was changed.",
    "executing": "The change was begun; run `ansible-playbook aiops.k8s.resume` to find out what is left.",
    "executed": "The change was applied; whether it worked is not proven yet.",
    "validated": "The change was applied and its checks passed; the watch is not over.",
    "failed": "It failed.",
    "rolling_back": "The change is being undone.",
    "rolled_back": "The change did not work and was undone.",
    "closed": "Done.",
}


def file_name(events: list[Event]) -> str:
    """``0007-oomkilled-in-deployment-web-in-namespace-shop.misc.prompt.md``."""
    proposal = events[0]["payload"]
    slug = "-".join(re.findall(r"[a-z0-9]+", proposal["title"].lower())[:7])[:80]
    return f"{proposal['id']}-{slug or 'operation'}.{_STAGE}.prompt.md"


def render(events: list[Event], quick: bool = False) -> str:
    """The whole Markdown document. ``quick`` uses libyaml where it is there: for most texts the same, and five times as fast."""
    yaml = library("yaml")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper) if quick else yaml.SafeDumper
    front = yaml.dump(front_matter(events), Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    sections = [_heading(events), _prompt(events), _response(events), _decision(events), _outcome(events), _evaluation(events)]
    return f"---\n{front}---\n\n" + "\n\n".join(section.rstrip() for section in sections) + "\n"


def front_matter(events: list[Event]) -> dict[str, Any]:
    proposal, plan = events[0]["payload"], events[0]["payload"].get("plan")
    engines = [opinion for opinion in proposal.get("opinions", []) if opinion.get("outcome") in ("answered", "disagrees")]
    return {
        "id": proposal["id"],
        "title": proposal["title"],
        "stage": _STAGE,
        "date": events[0]["time"][:10],
        "surface": "agent",
        "model": ", ".join(sorted({str(opinion.get("model")) for opinion in engines})) or "none (built-in analysis)",
        "feature": proposal["feature"],
        "branch": "none",
        "user": events[0]["actor"]["user"],
        "command": proposal["command"],
        "labels": ["aiops", proposal["workflow"], *sorted({finding["code"] for finding in proposal["findings"]})],
        "links": {"spec": None, "ticket": None, "adr": None, "pr": None},
        "files": [f"{proposal['id']}.jsonl", *(f"{proposal['id']}-{one['name']}" for one in proposal.get("attachments", []))],
        "tests": [check["type"] for check in plan["checks"]] if plan else ["none"],
        "aiops": {
            "state": state(events),
            "target": proposal["target"],
            "cluster": proposal["cluster"],
            "risk": plan["risk"] if plan else None,
            "digest": proposal.get("digest") or None,
            "events": len(events),
            "head": events[-1]["hash"],
        },
    }


def _heading(events: list[Event]) -> str:
    proposal = events[0]["payload"]
    return f"# {proposal['id']}: {_plain(proposal['title'])}\n\n**{state(events)}** - {_impact(events)}"


def _impact(events: list[Event]) -> str:
    overtaken = (last(events, "expired") or events[0])["payload"].get("successor")
    known = "A later proposal took its place; nothing was changed." if overtaken else _OUTCOMES[state(events)]
    return f"{known}{_reason(events)}"


def _reason(events: list[Event]) -> str:
    final = next((one for one in reversed(events) if one["kind"] == state(events)), events[-1])
    reason = final["payload"].get("reason") if final["kind"] in ("failed", "rejected", "rolling_back", "closed") else ""
    if final["kind"] == "rolled_back":
        failed = last(events, "failed")
        reason = failed["payload"]["reason"] if failed else ""
    return f" {_plain(str(reason))}" if reason else ""


def _prompt(events: list[Event]) -> str:
    proposal = events[0]["payload"]
    parts = ["## Prompt", _code(proposal["command"])]
    for opinion in proposal.get("opinions", []):
        if opinion.get("prompt"):
            parts.append(
                f"<details><summary>Prompt sent to {_html(opinion['engine'])} ({_html(opinion.get('model'))}),"
                f" redacted</summary>\n\n{_code(opinion['prompt'])}\n\n</details>"
            )
    return "\n\n".join(parts)


def _response(events: list[Event]) -> str:
    proposal = events[0]["payload"]
    plan = proposal.get("plan")
    parts = ["## Response snapshot", "### What is wrong", "\n".join(_finding(finding) for finding in proposal["findings"])]
    if proposal.get("earlier"):
        parts += ["### Seen before", "\n".join(_before(one) for one in proposal["earlier"])]
    parts += ["### Evidence", "\n".join(_fact(fact) for fact in proposal["evidence"])]
    for section in proposal.get("sections", []):
        parts += [f"### {_plain(section['title'])}", "\n".join(f"- {_plain(line)}" for line in section["lines"])]
    parts += [*_plots(proposal), "### Opinions", _opinions(proposal)]
    if plan is None:
        return "\n\n".join([*parts, "### Proposed change", f"None: {_plain(proposal['no_plan_reason'])}.", *_by_hand(proposal)])
    parts += ["### Proposed change", f"{_sentence(plan['summary'])} Digest `{proposal['digest']}`, decided by {plan['expires']}."]
    parts += [_change(change) for change in plan["changes"]]
    if plan.get("notes"):
        parts.append("\n".join(f"- {_plain(note)}" for note in plan["notes"]))
    if proposal.get("not_chosen"):
        parts.append("Not chosen: " + "; ".join(_plain(reason) for reason in proposal["not_chosen"]) + ".")
    parts += ["### Risk", f"**{plan['risk']}**: {'; '.join(_plain(reason) for reason in plan['risk_reasons'])}."]
    parts.append("\n".join(f"- {_plain(line)}" for line in policy.rules_of(plan["policy"])))
    parts += [
        "### How it is undone",
        _sentence(plan["undo"]),
        "### How it is proven",
        "\n".join(f"- {check['id']}: {_plain(checks.describe(check))}" for check in plan["checks"]),
        *_by_hand(proposal),
    ]
    return "\n\n".join(parts)


def _plots(proposal: dict[str, Any]) -> list[str]:
    """The files beside the record: the page of the same name shows them, companion.py."""
    lines = [
        f"- {_plain(one['title'])}. {_plain(one['text'])} File {_span(proposal['id'] + '-' + one['name'])}, SHA-256 {_span(one['sha256'])}"
        for one in proposal.get("attachments", [])
    ]
    return ["### Plots", "\n".join(lines)] if lines else []


def _by_hand(proposal: dict[str, Any]) -> list[str]:
    return ["### By hand", _code("\n".join(proposal["by_hand"]), "shell")] if proposal.get("by_hand") else []


def _before(one: dict[str, str]) -> str:
    return "- " + _plain(f"{one['id']}: {one['state'].replace('_', ' ')} at {one['time']}: {one['what']}")


def _finding(finding: dict[str, Any]) -> str:
    return (
        f"- **{finding['code']}** ({finding['severity']}) {_plain(named(finding['object']))}: {_plain(finding['root_cause'])}\n"
        + _affected(finding)
        + f"  - Suggested fix: {_plain(finding['suggested_fix'])}\n  - Expected outcome: {_plain(finding['expected_outcome'])}\n"
        f"  - Evidence: {', '.join(finding['evidence'])}; runbook: {finding['runbook']}"
    )


def _affected(finding: dict[str, Any]) -> str:
    """What else fails because of it, and since when; nothing for records from before these were noted."""
    others = ", ".join(_plain(named(one)) for one in finding.get("affects") or [])
    since = f"  - Since: {finding['since']}\n" if finding.get("since") else ""
    return since + (f"  - Fails because of this as well: {others}\n" if others else "")


def _fact(fact: dict[str, str]) -> str:
    when = f" at {fact['time']}" if fact["time"] else ""
    return f"- **{fact['id']}** {_plain(fact['source'])}{when}\n\n{_code(fact['excerpt'], indent='  ')}\n"


def _extra(one: dict[str, Any]) -> str:
    """A finding that only an engine has made, with what it cites."""
    return f"{one['title']} ({named(one['object'])}, {', '.join(one['evidence'])}): {one['root_cause']}"


def _spent(opinion: dict[str, Any]) -> str:
    """What an opinion cost, where the endpoint told."""
    tokens, cost = opinion.get("tokens"), opinion.get("cost")
    used = f"{tokens['prompt']} tokens sent, {tokens['completion']} received" if tokens else ""
    return ", ".join(part for part in (used, f"{cost['amount']} {cost['currency']}" if cost else "") if part)


def _opinions(proposal: dict[str, Any]) -> str:
    lines = ["- built-in analysis: the findings above"]
    for opinion in proposal.get("opinions", []):
        said = opinion.get("root_cause") or opinion.get("reason") or ""
        verdict = {True: "agrees", False: "disagrees"}.get(opinion.get("agrees"), opinion["outcome"])
        who = f"{_plain(opinion['engine'])} ({_plain(str(opinion.get('model') or 'no model'))}), {opinion.get('duration_seconds', 0)} s"
        lines.append(f"- {who}: **{verdict}**: {_plain(str(said))}")
        lines += [f"  - differs: {_plain(one)}" for one in opinion.get("differs") or []]
        lines += [f"  - also, for a person to look at: {_plain(_extra(one))}" for one in opinion.get("extra_findings") or []]
        lines += [f"  - {_plain(remark)}" for remark in [opinion.get("note"), _spent(opinion), *opinion.get("remarks", [])] if remark]
    return "\n".join(lines)


def _change(change: dict[str, Any]) -> str:
    subject = change["object"]
    lines = []
    for line in change["outcome"]:
        lines.append(f"  {line['path']}")
        lines += [
            f"{sign} {text}"
            for sign, value in (("-", line["before"]), ("+", line["after"]))
            if value is not None
            for text in patch.short(value, 1000).splitlines()
        ]
    how = {"server": "rehearsed by the API server (dry run)", "local": "computed locally, not rehearsed by the API server"}[
        change["dry_run"]
    ]
    which = f", uid `{subject['uid']}`" if subject["uid"] else ""
    return (
        f"{change['id']}: {change['action']} {_plain(named(subject))}{which},"
        f" {how}\n\n{_code(chr(10).join(lines), 'diff')}"
    )


def _decision(events: list[Event]) -> str:
    decided = last(events, "approved") or last(events, "rejected")
    lines = ["## Decision", ""]
    if decided:
        payload, by = decided["payload"], decided["payload"]["by"]
        lines.append(f"- **{decided['kind']}** by {_plain(identity.describe(by))}, {payload['way']}")
        waited = clock.span(clock.seconds_between(events[0]["time"], decided["time"]))
        lines.append(
            f"- at {decided['time']}, {waited} after the proposal, for the digest `{payload['digest'][:SHORT]}...`"
            + (f", valid until {payload['expires']}" if "expires" in payload else "")
        )
        lines += [f"- reason: {_plain(payload['reason'])}"] if payload.get("reason") else []
    else:
        lines.append("No decision was made.")
    lines += [f"- refused at {one['time']}: {_plain(one['payload']['reason'])}" for one in events if one["kind"] == "refused"]
    return "\n".join(lines)


def _outcome(events: list[Event]) -> str:
    proposal = events[0]["payload"]
    rows = [
        f"| {one['time']} | {one['kind']} | {_plain(_what(one))} | {clock.span(clock.seconds_between(events[0]['time'], one['time']))} |"
        for one in events
    ]
    return "\n".join(
        [
            "## Outcome",
            "",
            f"- ✅ Impact: {_impact(events)}",
            f"- 🧪 Tests: {_tests(events)}",
            f"- 📁 Files: {proposal['id']}.jsonl (the record; this document is rendered from it)",
            f"- 🔁 Next prompts: {_next(events)}",
            f"- 🧠 Reflection: {_plain(_times(events))}",
            "",
            "| time | event | what | since the proposal |",
            "| --- | --- | --- | --- |",
            *rows,
            *_measured(events),
            *_used(events),
        ]
    )


def _measured(events: list[Event]) -> list[str]:
    """Times of this operation, beside the means of its feature as they were when it was proven."""
    spans = times.spans(times.stamps(events))
    means = (last(events, "validated") or events[0])["payload"].get("means", {})
    rows = [f"| {times.MEASURES[name][2]} | {clock.span(seconds)} | {_mean(means.get(name))} |" for name, seconds in spans.items()]
    return ["", "### Times", "", "| what | here | mean so far |", "| --- | --- | --- |", *rows] if rows else []


def _used(events: list[Event]) -> list[str]:
    """What was used under the new limits while it was watched, and what is requested now."""
    lines = usage_proof.sentences((last(events, "closed") or last(events, "failed") or events[0])["payload"])
    return ["", "### Usage during the watch", "", *(f"- {_plain(line)}" for line in lines)] if lines else []


def _mean(found: dict[str, float] | None) -> str:
    return f"{clock.span(found['seconds'])} over {found['operations']:.0f}" if found else "-"


def _what(one: Event) -> str:
    payload = one["payload"]
    say = _SAYINGS.get(one["kind"])
    return say(payload) if say else str(payload.get("reason", ""))


_SAYINGS: dict[str, Callable[[dict[str, Any]], str]] = {
    "proposed": lambda payload: str(payload["title"]),
    "approved": lambda payload: f"by {identity.name_of(payload['by'])}",
    "rejected": lambda payload: f"by {identity.name_of(payload['by'])}: {payload['reason']}",
    "executing": lambda payload: f"as {payload['executor']['user']}",
    "executed": lambda payload: "found applied after an interruption" if payload.get("recovered") else f"applied{_hands(payload)}",
    "validated": lambda payload: f"all checks passed after {clock.span(payload['seconds'])}; {payload['state']}{_warned(payload)}",
    "rolled_back": lambda payload: "; ".join(f"{change['id']}: {change['result']}" for change in payload["changes"]),
}


def _hands(payload: dict[str, Any]) -> str:
    """Who carried it out in our place, as whom, and that their credentials are gone."""
    told = [
        f"{one['id']} by {one['engine']} {one['engine_version']} ({one['model']}) as {one['identity']}, which is"
        f" {'removed' if one['removed'] and one['token_dead'] else 'NOT removed'}; equal to the plan, field by field"
        for one in payload.get("hands", [])
    ]
    return f": {'; '.join(told)}" if told else ""


def _warned(payload: dict[str, Any]) -> str:
    told = checks.told(payload.get("signals", []))
    return f"; warnings since the change: {told}" if told else ""


def _tests(events: list[Event]) -> str:
    validated = last(events, "validated")
    if validated:
        met = validated["payload"]["met"]
        return (
            "; ".join(f"{check} PASS after {clock.span(seconds)}" for check, seconds in met.items())
            + f"; {_plain(validated['payload']['state'])}"
        )
    failed = last(events, "failed")
    return f"FAIL: {_plain(failed['payload']['reason'])}" if failed else "not run"


def _next(events: list[Event]) -> str:
    record = events[0]["payload"]["id"]
    command = next_command(events)
    return _span(command) if command else f"none; `ansible-playbook aiops.k8s.records -e record={record}` shows this record"


def next_command(events: list[Event]) -> str:
    """What to run next for a record in this state; empty when it is ended."""
    proposal = events[0]["payload"]
    place = " ".join(
        [f"-e record={proposal['id']}", *(_extra_variable(name, value) for name, value in proposal.get("options", {}).items())]
    )
    resume = f"ansible-playbook aiops.k8s.resume {place}"
    return {
        "proposed": (
            f"ansible-playbook aiops.k8s.approve {place} -e decision=approve -e digest={proposal['digest'][:SHORT]}"
            + (" -e signing_key=~/.ssh/id_ed25519" if proposal["plan"]["policy"].get("proof") == "signature" else "")
            if proposal.get("digest")
            else ""
        ),
        "approved": f"ansible-playbook aiops.k8s.execute {place}",
        "executing": resume,
        "executed": resume,
        "validated": resume,
        "failed": resume if undo_needed(events) else "",
        "rolling_back": resume,
    }.get(state(events), "")


def _extra_variable(name: str, value: str) -> str:
    """``-e name=value`` as a shell and then Ansible read it back: what is not plain has to be JSON, which Ansible does not split."""
    return f"-e {name}={value}" if _PLAIN.match(value) else f"-e {shlex.quote(json.dumps({name: value}))}"


def _times(events: list[Event]) -> str:
    proposal = events[0]["payload"]
    spans = [f"{name} {seconds} s" for name, seconds in proposal.get("timings", {}).items()]
    for earlier, later, name in (
        ("proposed", "approved", "decision"),
        ("approved", "executed", "change"),
        ("executed", "validated", "proof"),
    ):
        first, second = last(events, earlier), last(events, later)
        if first and second:
            spans.append(f"{name} {clock.span(clock.seconds_between(first['time'], second['time']))}")
    return "measured times: " + ", ".join(spans)


def _evaluation(events: list[Event]) -> str:
    proposal = events[0]["payload"]
    missing = [f"{one['what']} ({one['missing']})" for one in proposal.get("coverage", {}).get("not_evaluated", [])]
    unseen = {one["payload"]["signals_missing"] for one in events if one["payload"].get("signals_missing")}
    missing += [f"error signals after the change ({one})" for one in sorted(unseen)]
    unmeasured = {one["payload"]["usage"]["missing"] for one in events if (one["payload"].get("usage") or {}).get("missing")}
    missing += [f"usage during the watch ({one})" for one in sorted(unmeasured)]
    return "\n".join(
        [
            "## Evaluation notes (flywheel)",
            "",
            f"- Failure modes observed: {', '.join(sorted({finding['code'] for finding in proposal['findings']}))}",
            f"- Graders run and results (PASS/FAIL): {_tests(events)}",
            f"- Not evaluated: {_plain('; '.join(missing)) or 'nothing was left out'}",
            "- Prompt variant (if applicable): none",
            "- Next experiment (smallest change to try): none",
        ]
    )


def _plain(text: str) -> str:
    escaped = _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
    return _AUTOLINK.sub(r"\\\g<0>", _MARKER.sub(r"\1\\\2", escaped))


def _html(text: Any) -> str:
    """For lines that are HTML themselves, where a backslash escapes nothing."""
    return html.escape(" ".join(str(text).split()))


def _span(text: str) -> str:
    """A code span, whatever backticks the text holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return f"{'`' * (longest + 1)}{' ' if longest else ''}{' '.join(text.split())}{' ' if longest else ''}{'`' * (longest + 1)}"


def _sentence(text: str) -> str:
    plain = _plain(text)
    return f"{plain[:1].upper()}{plain[1:]}."


def _code(text: str, language: str = "", indent: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join(f"{indent}{line}".rstrip() for line in _lines(fence + language, text.splitlines() or [""], fence))


def _lines(first: str, middle: Iterable[str], final: str) -> list[str]:
    return [first, *middle, final]
