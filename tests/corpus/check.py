# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Compares what a diagnosis finds with what a case wants."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis import workflow
from tests.corpus.model import ANY, Case, Object, Want

RECORDED = Path(__file__).resolve().parents[1] / "unit" / "fixtures" / "corpus"
ELSEWHERE = "found on nodes that have nothing to do with the namespace"
OPTIONS: dict[str, Any] = {key: value.get("default") for key, value in workflow.SPEC.items()}


@dataclass
class Verdict:
    """What one case was found to be. ``faults`` is empty where everything is right; ``seconds`` is the diagnosis as a whole."""

    case: Case
    found: list[Object]
    remedies: dict[str, str]  # Kind/name -> summary of the plan
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def live(api: Api, case: Case) -> Verdict:
    """Diagnose the case's namespace on the cluster."""
    return _run(case, {"namespace": case.namespace}, api)


def replay(case: Case) -> Verdict:
    """Diagnose the recorded snapshot of a case; no cluster is asked."""
    return _run(case, {"replay": str(RECORDED / f"{case.name}.json")}, None)


def _run(case: Case, options: Mapping[str, Any], api: Api | None) -> Verdict:
    started = time.monotonic()
    result = workflow.diagnose({**OPTIONS, **options}, lambda: api, lambda: api)  # type: ignore[arg-type, return-value]
    return judge(case, result["findings"], result["proposals"], time.monotonic() - started)


def subject(one: Mapping[str, Any]) -> str:
    return f"{one['kind']}/{one['name']}"


def judge(case: Case, findings: Sequence[Object], proposals: Sequence[Object], seconds: float = 0.0) -> Verdict:
    """``findings`` and ``proposals`` of one namespace, as a result or its records hold them."""
    names = {subject(one["target"]): one.get("remedies") or [] for one in proposals if one["plan"]}
    plans = {subject(one["target"]): one["plan"]["summary"] for one in proposals if one["plan"]}
    verdict = Verdict(case, list(findings), plans, seconds=seconds)
    explained = [one for one in findings if f"{one['code']} {subject(one['object'])}" in case.allows]
    for want in case.wants:
        matching = [one for one in findings if one["code"] in want.code.split("|") and subject(one["object"]) in want.object.split("|")]
        if not matching:
            shown = "; ".join(f"{one['code']} {subject(one['object'])}" for one in findings) or "nothing"
            verdict.faults.append(f"wanted {want.code} {want.object}, found {shown}")
            explained += [one for one in findings if subject(one["object"]) in want.object.split("|")]  # said once is enough
            continue
        explained += matching
        verdict.faults += _faults(want, matching, names, plans)
    rest = [one for one in findings if one not in explained]
    mine = {item["metadata"]["name"] for step in case.steps for item in step.apply}
    elsewhere = [one for one in rest if one["object"]["kind"] == "Node" and one["object"]["name"] not in mine]
    verdict.faults += [f"not wanted: {one['code']} {subject(one['object'])}: {one['root_cause']}" for one in rest if one not in elsewhere]
    if elsewhere:
        verdict.faults.append(f"{ELSEWHERE}: {len(elsewhere)}, such as {elsewhere[0]['code']} {subject(elsewhere[0]['object'])}")
    return verdict


def _faults(want: Want, matching: list[Object], names: Mapping[str, list[Object]], plans: Mapping[str, str]) -> list[str]:
    faults = []
    text = " ".join(f"{one['title']} {one['root_cause']}" for one in matching)
    missing = [words for words in want.says if not any(word.lower() in text.lower() for word in words.split("|"))]
    if missing:
        faults.append(f"the cause does not say {', '.join(missing)}: {matching[0]['root_cause']}")
    covered = {subject(one["object"]) for one in matching} | {subject(other) for one in matching for other in one.get("affects", [])}
    lacking = [name for name in want.affects if name not in covered]
    if lacking:
        faults.append(f"affects lacks {', '.join(lacking)}")
    planned = [name for name in {subject(one["object"]) for one in matching} if name in plans]
    if want.remedy == "" and planned:
        faults.append(f"a change is proposed, and none follows: {plans[planned[0]]}")
    if want.remedy not in ("", ANY):
        if not planned:
            faults.append(f"no change is proposed, wanted {want.remedy}")
        elif not re.search(want.remedy, f"{' '.join(str(one.get('name')) for one in names[planned[0]][:1])} {plans[planned[0]]}"):
            faults.append(f"wanted {want.remedy}, proposed: {plans[planned[0]]}")
    for one in matching:
        if not (one["evidence"] and one["suggested_fix"] and one["expected_outcome"]):
            faults.append("no evidence, suggested fix or expected outcome")
    return faults


def table(verdicts: Sequence[Verdict], everything: bool = True) -> str:
    """Markdown: case, wanted, found, remedy, right, milliseconds."""
    lines = ["| case | wanted | found | proposed change | right | ms |", "|---|---|---|---|---|---|"]
    for one in verdicts:
        if everything or one.faults:
            wanted = ", ".join(want.code.replace("|", " or ") for want in one.case.wants) or "nothing"
            found = ", ".join(dict.fromkeys(finding["code"] for finding in one.found)) or "nothing"
            change = "; ".join(one.remedies.values()).replace("|", "\\|")
            lines.append(f"| {one.case.name} | {wanted} | {found} | {change} | {'no' if one.faults else 'yes'} | {one.seconds * 1000:.0f} |")
    return "\n".join(lines)


def summary(verdicts: Sequence[Verdict]) -> str:
    failures = [one for one in verdicts if one.case.wants]
    fine = [one for one in verdicts if not one.case.wants]
    right, quiet = (sum(not one.faults for one in some) for some in (failures, fine))
    other = sum(len(one.faults) == 1 and one.faults[0].startswith(ELSEWHERE) for one in verdicts)
    remark = f" ({other} of these only for findings on nodes of others)" if other else ""
    return f"{right} of {len(failures)} failures right, {len(fine) - quiet} false alarms on {len(fine)} healthy or unusual workloads{remark}"


def show(verdicts: Sequence[Verdict], only_failed: bool = False) -> int:
    print(table(verdicts, not only_failed))
    print()
    for one in verdicts:
        for fault in one.faults:
            print(f"{one.case.name}: {' '.join(fault.split())[:400]}")
    print(summary(verdicts))
    return int(any(one.faults for one in verdicts))


def load(case: Case) -> Object:
    return json.loads((RECORDED / f"{case.name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def sweep(cases: Iterable[Case], result: Mapping[str, Any]) -> dict[str, Verdict]:
    """Verdicts of one run over the whole cluster: each case by what was found in its namespace. Plans are not compared, only causes."""
    found: dict[str, list[Object]] = {}
    for one in result["findings"]:
        found.setdefault(_place(one["object"]), []).append(one)
    verdicts = {}
    for case in cases:
        mine = {item["metadata"]["name"] for step in case.steps for item in step.apply if item["kind"] == "Node"}
        findings = [*found.get(case.namespace, ()), *(one for node in mine for one in found.get(f"/{node}", ()))]
        loose = replace(case, wants=tuple(replace(want, remedy=ANY) for want in case.wants))
        verdicts[case.name] = judge(loose, [{**one, "evidence": one.get("evidence") or ["E"]} for one in findings], [])
    return verdicts


def _place(reference: Mapping[str, str]) -> str:
    return reference["namespace"] or f"/{reference['name']}"
