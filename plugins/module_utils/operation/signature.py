# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Decisions signed with SSH keys (``ssh-keygen -Y``), so that they hold without trust in whoever keeps or carries the records.

A statement is one line of canonical JSON: {type, decision, digest, summary, risk, cluster, reason, time}. The digest names the whole plan, with
what was shown and who asked; the rest is there for the signer to read and must fit the plan. Keys are judged by allowed_signers and revoked_keys.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from datetime import datetime, timezone
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import SIGNERS_FILE, Rules

NAMESPACE = "aiops.k8s.approval"
TYPE = "aiops.k8s/approval/v1"
_KEYS = ("type", "decision", "digest", "summary", "risk", "cluster", "reason", "time")
_FINGERPRINT = re.compile(r" key (SHA256:\S+)")
_SECONDS = 60.0  # for an agent that asks its owner to touch a key
_LARGEST = 65536  # bytes of a statement or a signature

Signature = dict[str, str]


def statement(plan: Mapping[str, Any], digest: str, decision: str, reason: str, moment: str) -> bytes:
    """What an approver signs. ``moment`` is when they decided."""
    return canonical(_expected(plan, digest) | {"decision": decision, "reason": reason, "time": moment}) + b"\n"


def read(data: bytes, plan: Mapping[str, Any], digest: str, where: str) -> dict[str, str]:
    """A statement about this plan. Raises GateRefused for one that is about another plan, BadInput for what is no statement."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict) or sorted(found) != sorted(_KEYS) or not all(isinstance(value, str) for value in found.values()):
        raise BadInput(f"{where} is no statement of a decision.", "Write one with -e statement_file=PATH and sign that file.")
    for key, expected in _expected(plan, digest).items():
        if found[key] != expected:
            raise GateRefused(f"{where} is about another plan: its {key} is {found[key][:80]!r}, not {expected[:80]!r}.")
    if not _is_stamp(found["time"]):
        raise BadInput(f"{where} has the time {found['time'][:40]!r}.", "It must be in UTC with milliseconds, such as 2026-11-21T11:02:03.004Z.")
    return found


def time_of(text: str) -> str:
    """When a statement says that it was made; "" for what is no statement."""
    try:
        return str(json.loads(text)["time"])
    except (ValueError, KeyError, TypeError):
        return ""


def sign(data: bytes, key: str) -> str:
    """The armored signature over a statement. ``key``: a private key, or a public key whose private one an agent holds."""
    if not os.path.isfile(key):
        raise BadInput(f"signing_key {key} does not exist.", "Give the path of an SSH key, private or public (the agent then signs).")
    done = _run(["-Y", "sign", "-n", NAMESPACE, "-f", key], data)
    armored = done.stdout.decode("ascii", "replace")
    if done.returncode or "BEGIN SSH SIGNATURE" not in armored:
        raise BadInput(
            f"signing_key {key} did not sign: {_said(done)}.",
            "A key with a passphrase has to be in an agent (ssh-add), since nobody can be asked for it here.",
        )
    return armored


def verify(data: bytes, armored: str, governed_by: Rules, moment: datetime, claimed: str = "") -> Signature:
    """{principal, key}: who signed this statement, by a key that was valid at that moment and is not revoked. Raises GateRefused.

    ``claimed``: who is said to have signed; when that holds, nobody else is looked for.
    """
    if not governed_by.signers:
        raise GateRefused(
            "A signature cannot be judged: there is no allowed_signers.",
            f"Put the approvers' public keys into {os.path.join(governed_by.directory, SIGNERS_FILE)}, as ssh-keygen(1) describes.",
        )
    at = f"-Overify-time={moment.astimezone(timezone.utc).strftime('%Y%m%d%H%M%SZ')}"
    with tempfile.NamedTemporaryFile("w", prefix="aiops-", suffix=".sig") as file:
        file.write(armored)
        file.flush()
        common = ["-f", governed_by.signers, "-s", file.name, at]
        unrevoked = ["-r", governed_by.revoked] if governed_by.revoked else []
        if claimed and not claimed.startswith("-"):
            done = _run(["-Y", "verify", "-n", NAMESPACE, "-I", claimed, *common, *unrevoked], data)
            if not done.returncode:
                return {"principal": claimed, "key": _key_of(done)}
        found = _run(["-Y", "find-principals", *common], b"")
        if found.returncode or not found.stdout.strip():
            raise GateRefused(f"The signature is by nobody whom {governed_by.signers} allows: {_said(found)}.")
        principal = found.stdout.decode("utf-8", "replace").splitlines()[0].strip()
        check = ["-Y", "verify", "-n", NAMESPACE, "-I", principal, *common]
        done = _run([*check, *unrevoked], data)
        if done.returncode and governed_by.revoked and not _run(check, data).returncode:
            raise GateRefused(f"The key of {principal} is revoked by {governed_by.revoked}, or that file cannot be read.")
        if done.returncode:
            raise GateRefused(f"The signature by {principal} does not hold: {_said(done)}.", f"Sign with: {command('FILE')}")
    return {"principal": principal, "key": _key_of(done)}


def load(path: str) -> tuple[bytes, str]:
    """A statement and the signature beside it, ``PATH.sig``. Raises BadInput naming the option."""
    return _file(path, "approval_file"), _file(f"{path}.sig", "the signature of approval_file").decode("ascii", "replace")


def command(path: str) -> str:
    """What an approver types to sign a statement."""
    return f"ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {path}"


def _expected(plan: Mapping[str, Any], digest: str) -> dict[str, str]:
    return {"type": TYPE, "digest": digest, "summary": plan["summary"], "risk": plan["risk"], "cluster": plan["cluster"]["uid"]}


def _is_stamp(text: str) -> bool:
    """Times are compared as text, so only one way of writing them counts."""
    try:
        return clock.stamp(clock.parse(text)) == text
    except ValueError:
        return False


def _file(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadInput(f"{what} {path} cannot be read: {error.strerror}.", f"Sign the statement with: {command(path)}") from error
    if len(data) > _LARGEST:
        raise BadInput(f"{what} {path} is larger than {_LARGEST} bytes.")
    return data


def _run(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in ("SSH_ASKPASS", "DISPLAY")} | {"LC_ALL": "C"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments], input=data, capture_output=True, check=False, timeout=_SECONDS, env=environment, start_new_session=True
        )
    except FileNotFoundError:
        raise BadInput("ssh-keygen is not on PATH, and signatures need it.", "Install OpenSSH's client (package openssh-client).") from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"ssh-keygen did not answer within {_SECONDS:.0f} s.", "Check the agent (ssh-add -l).") from None


def _key_of(done: subprocess.CompletedProcess[bytes]) -> str:
    fingerprint = _FINGERPRINT.search(done.stdout.decode("utf-8", "replace"))
    return fingerprint[1] if fingerprint else "unknown"


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = " ".join(done.stderr.decode("utf-8", "replace").replace("Signing data on standard input", "").split())
    return text[:300].rstrip(".") or "Could not verify signature"
