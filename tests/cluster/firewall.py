# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Firewall rules of the built-in cluster: our own few, and the removal of all that kube-proxy, kubelet and CNI left.

Everything works on the text of `iptables-save` and ends in one `iptables-restore --noflush`, which replaces all or
nothing and leaves the rules of others, and their counters, untouched.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .console import run
from .settings import NAME, NODE_BRIDGE, POD_BRIDGE, POD_CIDR, PORTS

FAMILIES = ("iptables", "ip6tables")
OWN_PREFIX = "AIOPS-"
MADE_BY_CLUSTER = ("KUBE-", "CNI-", OWN_PREFIX)

# chain -> its rules, per table; each is jumped to first from the built-in chain named in JUMPS
_NOTE = f"-m comment --comment {NAME}"
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "filter": {
        # the API server listens on every address, but only this machine and its pods may come
        "AIOPS-INPUT": (
            "-i lo -j RETURN",
            f"-i {POD_BRIDGE} -j RETURN",
            f"-i {NODE_BRIDGE} -j RETURN",
            f"-p tcp -m tcp --dport {PORTS['API server']} -j DROP",
        ),
        # hosts that forward nothing by default, as Docker sets them up
        "AIOPS-FORWARD": (f"-i {POD_BRIDGE} -j ACCEPT", f"-o {POD_BRIDGE} -j ACCEPT"),
    },
    "nat": {"AIOPS-POSTROUTING": (f"-s {POD_CIDR} ! -o {POD_BRIDGE} -j MASQUERADE",)},
}


@dataclass
class Table:
    """One table of iptables-save: its user-defined chains and its rules ("-A CHAIN ...") in order."""

    chains: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def parse(saved: str) -> dict[str, Table]:
    """Table name -> table, from the text of iptables-save."""
    tables: dict[str, Table] = {}
    current = Table()
    for line in saved.splitlines():
        if line.startswith("*"):
            current = tables.setdefault(line[1:].strip(), Table())
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            if policy == "-":
                current.chains.append(chain)
        elif line.startswith("-A "):
            current.rules.append(line)
    return tables


def chains(saved: str) -> list[str]:
    """ "table CHAIN" of every chain that a cluster makes, ours or not."""
    return [
        f"{name} {chain}"
        for name, table in parse(saved).items()
        for chain in table.chains
        if chain.startswith(MADE_BY_CLUSTER)
    ]


def target(rule: str) -> str:
    """The chain that a rule jumps or goes to, "" when none; a comment that reads like a jump is not one."""
    words = shlex.split(rule)
    return next((after for word, after in zip(words, words[1:]) if word in ("-j", "-g")), "")


def removal(saved: str, before: Iterable[str]) -> str:
    """What to feed to `iptables-restore --noflush` so that every cluster chain not listed in `before` goes.

    `saved` is the present iptables-save text, `before` what chains() said before `up`. "" when there is nothing to do.
    """
    kept = set(before)
    parts: list[str] = []
    for name, table in parse(saved).items():
        ours = [c for c in table.chains if c.startswith(MADE_BY_CLUSTER) and f"{name} {c}" not in kept]
        gone = set(ours)
        # a rule of a chain that stays, pointing into one that goes
        jumps = [rule for rule in table.rules if target(rule) in gone and rule.split()[1] not in gone]
        if gone:
            parts.append(f"*{name}")
            parts.extend(f":{chain} - [0:0]" for chain in ours)  # naming a chain empties it
            parts.extend(f"-D {rule[3:]}" for rule in jumps)
            parts.extend(f"-X {chain}" for chain in ours)
            parts.append("COMMIT")
    return "\n".join([*parts, ""]) if parts else ""


def own_rules() -> str:
    """What to feed to `iptables-restore --noflush` so that CHAINS are in force, each before other rules."""
    lines = []
    for name, members in CHAINS.items():
        lines.append(f"*{name}")
        lines.extend(f":{chain} - [0:0]" for chain in members)
        for chain, rules in members.items():
            lines.append(f"-I {chain.removeprefix(OWN_PREFIX)} 1 {_NOTE} -j {chain}")
            lines.extend(f"-A {chain} {rule}" for rule in rules)
        lines.append("COMMIT")
    return "\n".join([*lines, ""])


def saved(family: str) -> str:
    """The rules in force; "" where this kernel has no such family."""
    done = run([f"{family}-save"], check=False)
    return done.stdout if done.returncode == 0 else ""


def all_chains() -> dict[str, list[str]]:
    """Family -> what chains() says of it now."""
    return {family: chains(saved(family)) for family in FAMILIES}


def left(before: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Family -> the cluster chains that are there now and were not before."""
    return {family: sorted(set(now) - set(before.get(family, ()))) for family, now in all_chains().items()}


def prepare() -> None:
    """Put our own rules in force."""
    run(["iptables-restore", "--wait=10", "--noflush"], text=own_rules())


def clean(before: Mapping[str, Iterable[str]]) -> None:
    """Remove every chain that the cluster made, with the rules that lead to it.

    Raises ClusterError with the firewall's own words when that fails.
    """
    for family in FAMILIES:
        text = removal(saved(family), before.get(family, ()))
        if text:
            run([f"{family}-restore", "--wait=10", "--noflush"], text=text)
