# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Signed decisions, with real keys: what a signature proves, and every way in which it does not hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate, identity, signature
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples

SIGNED = {"medium": {"proof": "signature", "four_eyes": True, "approvers": ["bea@corp"]}}


class Keys:
    """Key pairs by name, and the files that say whose they are."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("bea", "cem"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(place / name)], check=True)
        self.allow(f"bea@corp {self.public('bea')}")

    def public(self, name: str) -> str:
        return (self.place / f"{name}.pub").read_text(encoding="utf-8").strip()

    def private(self, name: str) -> str:
        return str(self.place / name)

    def allow(self, *lines: str) -> Rules:
        (self.place / "allowed_signers").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return Rules(str(self.place), None, str(self.place / "allowed_signers"))

    def revoke(self, name: str) -> Rules:
        (self.place / "revoked_keys").write_text(self.public(name) + "\n", encoding="utf-8")
        return Rules(str(self.place), None, str(self.place / "allowed_signers"), str(self.place / "revoked_keys"))


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(name="governed_by")
def _governed_by(keys: Keys) -> Rules:
    return keys.allow(f"bea@corp {keys.public('bea')}")


def made(record: Record, key: str, decision: str = "approve", reason: str = "", minute: float = 5, **changes: Any) -> dict[str, Any]:
    """An identity with a signature over a statement, of which anything can be changed before it is signed."""
    plan = record.plan or {}
    data = canonical(
        {
            **gate.signature.read(
                signature.statement(plan, record.digest, decision, reason, clock.stamp(samples.at(minute))), plan, record.digest, "x"
            ),
            **changes,
        }
    )
    text = data + b"\n"
    return {
        **identity.os_user(),
        "signature": {"principal": "bea@corp", "key": "SHA256:x", "statement": text.decode(), "armored": signature.sign(text, key)},
    }


def decide(store: Directory, record: Record, by: dict[str, Any], governed_by: Rules, **more: Any) -> dict[str, Any]:
    given = {"prefix": record.digest[:8], "reason": "", "way": "file", "now": samples.at(6), **more}
    return gate.decide(store, record, given.pop("decision", "approve"), by=by, governed_by=governed_by, **given)


def test_a_signature_proves_who_approved_what(store: Directory, keys: Keys, governed_by: Rules) -> None:
    record = samples.proposed(store, samples.plan(policies=SIGNED))
    event = decide(store, record, made(record, keys.private("bea")), governed_by)
    assert event["payload"]["expires"] == clock.stamp(samples.at(65)), "it is valid from when it was signed, not from when it was handed in"
    gate.require_approval(record, samples.at(60), governed_by)
    found = signature.verify(
        event["payload"]["by"]["signature"]["statement"].encode(), event["payload"]["by"]["signature"]["armored"], governed_by, samples.at(6)
    )
    assert found["principal"] == "bea@corp" and found["key"].startswith("SHA256:")
    assert identity.describe(event["payload"]["by"]).startswith("bea@corp (SSH signature by SHA256:x, handed in by ")


def test_a_signed_rejection(store: Directory, keys: Keys, governed_by: Rules) -> None:
    record = samples.proposed(store, samples.plan(policies=SIGNED))
    decide(store, record, made(record, keys.private("bea"), "reject", "too big"), governed_by, decision="reject", reason="too big")
    assert record.state == "rejected"


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("a key that nobody allowed", {"key": "cem"}, {}, "by nobody whom"),
    ("another plan", {"digest": "0" * 64}, {}, "about another plan: its digest is '00000000"),
    ("another cluster", {"cluster": "c2"}, {}, "about another plan: its cluster is 'c2'"),
    ("another summary", {"summary": "nothing much"}, {}, "about another plan: its summary is 'nothing much'"),
    ("a rejection", {"decision": "reject"}, {}, "The signed statement is to reject"),
    ("another reason", {"reason": "because"}, {}, "The signed statement is to approve, with the reason 'because'"),
    ("signed before the proposal", {"minute": -1}, {}, "is not between the proposal and now"),
    ("signed in the future", {"minute": 9}, {}, "is not between the proposal and now"),
    ("handed in too late", {}, {"now": samples.at(481)}, "Record 0001 expired at"),
    ("a time of another form", {"time": "2026-11-21T20:05:00+08:00"}, {}, "has the time '2026-11-21T20:05:00+08:00'"),
    ("another type", {"type": "x"}, {}, "its type is 'x'"),
    ("a key more", {"note": "x"}, {}, "is no statement of a decision"),
]


@pytest.mark.parametrize("what, changed, given, message", REFUSED, ids=[row[0] for row in REFUSED])
def test_statements_that_do_not_hold(
    store: Directory, keys: Keys, governed_by: Rules, what: str, changed: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    record = samples.proposed(store, samples.plan(policies=SIGNED))
    changed = dict(changed)
    by = made(record, keys.private(changed.pop("key", "bea")), **{"minute": changed.pop("minute", 5)}, **changed)
    with pytest.raises(AiopsError) as caught:
        decide(store, record, by, governed_by, **given)
    assert message in str(caught.value) and store.load("1").state in ("proposed", "expired")


def damage(keys: Keys, signed: dict[str, Any]) -> Rules:
    signed["statement"] = signed["statement"].replace('"reason":""', '"reason":" "')
    signed["reason"] = " "
    return keys.allow(f"bea@corp {keys.public('bea')}")


def strip(keys: Keys, signed: dict[str, Any]) -> Rules:
    signed["armored"] = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
    return keys.allow(f"bea@corp {keys.public('bea')}")


FORGED: list[tuple[str, Callable[[Keys, dict[str, Any]], Rules], str]] = [
    ("no allowed_signers", lambda keys, signed: Rules("/x"), "there is no allowed_signers"),
    ("the key is revoked", lambda keys, signed: keys.revoke("bea"), "The key of bea@corp is revoked by"),
    ("it was only valid earlier", lambda keys, signed: keys.allow(f'bea@corp valid-before="20260101" {keys.public("bea")}'), "by nobody whom"),
    (
        "it is for another purpose",
        lambda keys, signed: keys.allow(f'bea@corp namespaces="git" {keys.public("bea")}'),
        "The signature by bea@corp does not hold",
    ),
    ("it is now another's", lambda keys, signed: keys.allow(f"cem@corp {keys.public('bea')}"), "The signature is by cem@corp, not by bea@corp"),
    ("the signature is damaged", damage, "does not hold"),
    ("no signature at all", strip, "by nobody whom"),
]


@pytest.mark.parametrize("what, tamper, message", FORGED, ids=[row[0] for row in FORGED])
def test_a_recorded_signature_is_judged_again_at_execution(
    store: Directory, keys: Keys, governed_by: Rules, what: str, tamper: Callable[[Keys, dict[str, Any]], Rules], message: str
) -> None:
    record = samples.proposed(store, samples.plan(policies=SIGNED))
    decide(store, record, made(record, keys.private("bea")), governed_by)
    approval = record.events[1]["payload"]
    rules = tamper(keys, approval["by"]["signature"])
    approval["reason"] = approval["by"]["signature"].get("reason", "")
    with pytest.raises(GateRefused) as caught:
        gate.require_approval(record, samples.at(10), rules)
    assert message in str(caught.value)


def test_signed_for_another_namespace(store: Directory, keys: Keys, governed_by: Rules) -> None:
    record = samples.proposed(store, samples.plan(policies=SIGNED))
    by = made(record, keys.private("bea"))
    by["signature"]["armored"] = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", keys.private("bea")],
        input=by["signature"]["statement"].encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    with pytest.raises(GateRefused, match="The signature by bea@corp does not hold: .*namespace does not match"):
        decide(store, record, by, governed_by)


def test_the_policy_file_asks_for_a_signature_that_the_plan_did_not_ask_for(store: Directory, keys: Keys, governed_by: Rules) -> None:
    record = samples.proposed(store)
    strict = Rules(governed_by.directory, policy({"medium": {"proof": "signature"}}), governed_by.signers)
    with pytest.raises(GateRefused, match="this risk class needs a signature"):
        decide(store, record, identity.os_user(), strict)
    decide(store, record, identity.os_user(), governed_by)
    with pytest.raises(GateRefused, match="does not count: this risk class needs a signature"):
        gate.require_approval(record, samples.at(10), strict)


def test_keys_that_cannot_sign(keys: Keys, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", str(locked)], check=True)
    for key, message in ((str(locked), "in an agent"), (str(tmp_path / "none"), "signing_key .*none does not exist")):
        with pytest.raises(BadInput, match=message):
            signature.sign(b"x\n", key)


@pytest.mark.parametrize("content, message", [(None, "approval_file .* cannot be read"), (b"x" * 70000, "is larger than 65536 bytes")])
def test_approval_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        signature.load(str(tmp_path / "a"))


def test_freeze_holds_up_changes_but_not_their_undoing(store: Directory) -> None:
    always = policy({"medium": {"freeze": [{"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "reason": "audit"}]}})
    record = samples.proposed(store)
    frozen = Rules("/x", always)
    with pytest.raises(
        GateRefused, match=r"not approved: changes of this risk class are frozen until 2027-01-01T00:00:00Z? ?.*\(audit\)|frozen until"
    ):
        decide(store, record, identity.os_user(), frozen)
    decide(store, record, identity.os_user(), Rules())
    with pytest.raises(GateRefused, match="does not count: changes of this risk class are frozen"):
        gate.require_approval(record, samples.at(10), frozen)
    undo = samples.proposed(store, {**samples.plan(), "workflow": gate.UNDO})
    decide(store, undo, identity.os_user(), frozen)
    gate.require_approval(undo, samples.at(10), frozen)
