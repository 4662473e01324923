# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Everything that is known and recommended about one workload, from the rooms of right-sizing in their order. Pure; raises nothing.

decision: change | keep | refuse (a figure is known, and something speaks against it) | not_eligible (it cannot be judged)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import backtest, eligibility, fit, hpa, savings, sizing
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.rolling import Stage
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.usage import combined

Object = dict[str, Any]
NO_HISTORY: Object = {"containers": {}, "first_seen": None, "restarts": [], "ooms": [], "rollouts": [], "pods_seen": 0, "notes": []}


@dataclass
class Analysis:
    """``history``: this workload's part of the history; the others are what the rooms of the same names give, {} where not asked."""

    subject: Object
    history: Object
    verdict: Object  # eligibility
    usage: Object
    decision: str
    reason: str
    fix: str = ""
    recommendation: Object = field(default_factory=dict)
    joint: Object = field(default_factory=dict)
    fits: Object = field(default_factory=dict)
    backtest: Object = field(default_factory=dict)
    savings: Object = field(default_factory=dict)

    @property
    def key(self) -> str:
        return str(self.subject["key"])

    @property
    def workload(self) -> Object:
        return self.subject["workload"]  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        """deployment/web, as in kubectl."""
        metadata = self.workload["metadata"]
        return f"{self.workload['kind'].lower()}/{metadata['name']}"

    @property
    def replicas(self) -> int:
        """Wanted ones; of a DaemonSet the pods that are there."""
        return replicas(self.subject)

    @property
    def change(self) -> Object:
        """What savings.py is told about it."""
        return {"subject": self.subject, "recommendation": self.recommendation, "replicas": self.replicas}

    def row(self) -> Object:
        """A row of the list (listing.py)."""
        figures = [one[resource] for one in self.usage.values() for resource in ("cpu", "memory") if one[resource]]
        days = [(one["to"] - one["from"]) / 86400 for one in _stats(self.history)]
        return {
            "key": self.key,
            "decision": self.decision,
            "reason": self.reason,
            "replicas": self.replicas,
            "containers": self.recommendation.get("containers", []),
            "savings": self.savings or None,
            "backtest": self.backtest or None,
            "coverage": min((one["coverage"] for one in figures), default=0.0),
            "days": round(max(days, default=0.0), 2),
            "points": sum(one["samples"] for one in figures),
            "record": "",
        }


def analysed(subject: Object, snapshot: Mapping[str, Any], options: Mapping[str, Any], prices: Object, stage: Stage) -> Analysis:
    """One workload. snapshot: with the key usage, a history (sources.py); stage: of its objects, shared by all workloads."""
    history, objects = snapshot["usage"], snapshot["objects"]
    mine = history["workloads"].get(subject["key"]) or NO_HISTORY
    verdict, usage = eligibility.assess(subject, mine, history, objects, options), combined(mine, subject, history, options["min_points"])
    if not verdict["eligible"]:
        first = verdict["reasons"][0]
        reason = " ".join(one["sentence"] for one in verdict["reasons"])
        return Analysis(subject, mine, verdict, usage, "not_eligible", reason, first["fix"])
    advice, joint = _solved(subject, usage, objects, options)
    found = Analysis(subject, mine, verdict, usage, advice["decision"], advice["reason"], advice["fix"], advice, joint)
    if advice["decision"] != "change":
        return found
    found.backtest = backtest.replay(mine, advice)
    found.savings = savings.of([found.change], objects, prices, nodes=False)
    found.fits = fit.check(subject, advice["resources"], objects, stage)
    against = [joint] if joint["action"] == "refuse" else []
    against += [{"reason": one["sentence"], "fix": one["fix"]} for one in found.fits["refusals"]]
    if against:
        found.decision = "refuse"
        found.reason, found.fix = " ".join(one["reason"] for one in against), against[0]["fix"]
    return found


def _solved(subject: Object, usage: Object, objects: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Object, Object]:
    """(recommendation, what it means for the autoscaler): solved together where the autoscaler follows what requests are."""
    autoscalers = objects.get("horizontalpodautoscalers") or []
    advice = sizing.size(subject, usage, options)
    scaled = objects.get("scaledobjects") or []
    joint = hpa.joint(subject, advice, autoscalers, options, scaled)
    if joint["cpu_floors"]:
        advice = sizing.size(subject, usage, options, floors=joint["cpu_floors"])
        joint = hpa.joint(subject, advice, autoscalers, options, scaled)
    return advice, joint


def raised(pair: Sequence[float | None]) -> bool:
    """Whether [old, new] is a raise; of nothing to something is one."""
    old, new = pair
    return new is not None and (old is None or new > old)


def replicas(subject: Mapping[str, Any]) -> int:
    """How many pods a workload wants; of a DaemonSet how many are there."""
    workload = subject["workload"]
    return len(subject["pods"]) if workload["kind"] == "DaemonSet" else int(workload["spec"].get("replicas", 1))


def _stats(history: Mapping[str, Any]) -> list[Object]:
    return [
        one[resource] for pods in history["containers"].values() for one in pods.values() for resource in ("cpu", "memory") if one[resource]
    ]
