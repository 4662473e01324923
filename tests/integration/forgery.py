# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ways to tamper with records: clumsily, and with the library at hand, so that every hash fits; and signatures, good and bad."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, signature
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical, digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import event

from tests.integration.support import events

OPEN = "0002"  # the record that is tampered with
ROOT = Path(__file__).resolve().parents[2]
Change = Callable[[Path], None]  # gets the folder of the records
APPROVER = "bea@corp"


# --- files ---------------------------------------------------------------------------------------------------------------


def line(number: int, old: str, new: str) -> Change:
    """Edit one line of OPEN."""

    def change(records: Path) -> None:
        lines = (records / f"{OPEN}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new)
        (records / f"{OPEN}.jsonl").write_text("".join(lines), encoding="utf-8")

    return change


def lines(rearrange: Callable[[list[str]], Sequence[str]]) -> Change:
    """Rearrange the lines of OPEN: remove, repeat, reorder, cut."""

    def change(records: Path) -> None:
        known = (records / f"{OPEN}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (records / f"{OPEN}.jsonl").write_text("".join(rearrange(known)), encoding="utf-8")

    return change


def content(text: str) -> Change:
    """Put something else into OPEN's file."""

    def change(records: Path) -> None:
        (records / f"{OPEN}.jsonl").write_text(text, encoding="utf-8")

    return change


def mode(bits: int, name: str = f"{OPEN}.jsonl") -> Change:
    return lambda records: (records / name).chmod(bits)


def linked(records: Path) -> None:
    """OPEN's file becomes a symbolic link to a copy elsewhere."""
    aside = records.parent / "aside.jsonl"
    (records / f"{OPEN}.jsonl").rename(aside)
    (records / f"{OPEN}.jsonl").symlink_to(aside)


def folder_linked(records: Path) -> None:
    """The folder of the feature becomes a symbolic link to elsewhere."""
    aside = records.parent.parent / "aside"
    records.rename(aside)
    records.symlink_to(aside)


def moved(records: Path) -> None:
    """A copy of OPEN under the next number."""
    (records / "0003.jsonl").write_bytes((records / f"{OPEN}.jsonl").read_bytes())


def rules(**files: Any) -> Change:
    """Files of the policy directory: ``policy`` as data, ``allowed_signers`` and ``revoked_keys`` as text."""

    def change(records: Path) -> None:
        for name, text in files.items():
            file = records.parent / ("policy.yml" if name == "policy" else name)
            file.write_text(yaml.safe_dump(text) if name == "policy" else text, encoding="utf-8")

    return change


def both(*changes: Change) -> Change:
    def change(records: Path) -> None:
        for one in changes:
            one(records)

    return change


# --- whole chains --------------------------------------------------------------------------------------------------------


def followed_by(*following: tuple[str, dict[str, Any]], moment: str | None = None) -> Change:
    """Append proper events to OPEN: what a person with the library at hand could write."""

    def change(records: Path) -> None:
        known = events(records / f"{OPEN}.jsonl")
        who = known[0]["actor"]
        for kind, payload in following:
            given = {"digest": known[0]["payload"]["digest"], "reason": "", "by": who, "way": "playbook", "expires": "2999-01-01T00:00:00.000Z"}
            known.append(event(known, kind, {**given, **payload}, who, moment))
        rewrite(records, known)

    return change


def proposed_with(approved: bool = False, **changes: Any) -> Change:
    """Propose OPEN anew with another plan: a whole chain, a matching digest."""

    def change(records: Path) -> None:
        known = events(records / f"{OPEN}.jsonl")
        payload = copy.deepcopy(known[0]["payload"])
        payload["plan"] = {**payload["plan"], **changes}
        payload["digest"] = digest(payload["plan"])
        who = {**known[0]["actor"], **{key: value for key, value in changes.get("requested_by", {}).items() if key in ("user", "uid", "host")}}
        first = event([], "proposed", payload, who)
        rewrite(records, [first])
        if approved:
            followed_by(("approved", {}))(records)

    return change


def shown_with(**changes: Any) -> Change:
    """Propose OPEN anew with other findings or evidence, and the plan as it was."""

    def change(records: Path) -> None:
        known = events(records / f"{OPEN}.jsonl")
        rewrite(records, [event([], "proposed", {**known[0]["payload"], **changes}, known[0]["actor"])])

    return change


def rewrite(records: Path, chain: list[dict[str, Any]]) -> None:
    (records / f"{OPEN}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in chain), encoding="utf-8")


# --- signatures ----------------------------------------------------------------------------------------------------------


def key(name: str) -> str:
    """The path of a private key for these tests, made when it is first asked for."""
    path = ROOT / ".build" / "keys" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = path.with_name(f"{name}.{os.getpid()}")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(made)], check=True)
        made.with_name(f"{made.name}.pub").rename(path.with_name(f"{name}.pub"))
        made.rename(path)
    return str(path)


def public(name: str) -> str:
    return Path(f"{key(name)}.pub").read_text(encoding="utf-8").strip()


def allowed(name: str = "bea", principal: str = APPROVER, options: str = "") -> str:
    """A line of allowed_signers."""
    return f"{principal} {options}{' ' if options else ''}{public(name)}\n"


def statement(known: list[dict[str, Any]], decision: str = "approve", **changes: str) -> bytes:
    """A statement about a record, of which anything can be changed before it is signed."""
    payload = known[0]["payload"]
    data = signature.statement(payload["plan"], payload["digest"], decision, "", clock.stamp(clock.now()))
    return canonical({**json.loads(data), **changes}) + b"\n" if changes else data


def signed(name: str = "bea", namespace: str = signature.NAMESPACE, after: Callable[[bytes], bytes] | None = None, **changes: str) -> Change:
    """An approval file ``a.json`` with its signature; ``after`` edits the statement once it is signed."""

    def change(records: Path) -> None:
        data = statement(events(records / f"{OPEN}.jsonl"), **changes)
        file = records.parent / "a.json"
        file.write_bytes(data)
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key(name), str(file)], check=True, capture_output=True)
        file.write_bytes(after(data) if after else data)

    return change


def approved_by_signature(name: str = "bea", claims: str = APPROVER, **changes: str) -> Change:
    """A recorded approval whose signature is by that key, whoever it claims to be."""

    def change(records: Path) -> None:
        known = events(records / f"{OPEN}.jsonl")
        data = statement(known, **changes)
        made = {"principal": claims, "key": "SHA256:x", "statement": data.decode(), "armored": signature.sign(data, key(name))}
        followed_by(("approved", {"by": {**known[0]["actor"], "signature": made}}))(records)

    return change
