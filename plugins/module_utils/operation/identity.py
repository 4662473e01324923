# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who somebody is, how that was established, and whether two of them are one person. Nothing here is typed by a user.

An identity: {user, uid, host, established_by: os_user, groups[], login (where a session's user became another one),
cluster_user{user, groups[]} as the API server's SelfSubjectReview says, signature{principal, key, statement, armored}}.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import allowed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import actor

Identity = dict[str, Any]
_UNSET = 2**32 - 1  # the kernel's word for a process that belongs to no login session
_SERVICE_ACCOUNT = "system:serviceaccount:"


def os_user() -> Identity:
    """Whoever runs this process, with groups, and with the user who logged in where su or sudo came between."""
    who = actor()
    login = _login()
    return {**who, "groups": _groups(), **({"login": login} if login and login != who["user"] else {})}


def requester(cluster_user: str) -> Identity:
    """The part of an identity that a plan keeps about who asked for it."""
    who = {key: value for key, value in os_user().items() if key != "groups"}
    return {**who, **({"cluster_user": cluster_user} if cluster_user else {})}


def deciding(by: Mapping[str, Any], proof: str) -> tuple[str, str, list[str]]:
    """(how established, name, groups) of the identity that counts: a signer, else what the policy's proof asks for.

    The name is empty where the proof is missing.
    """
    if by.get("signature"):
        return "signature", str(by["signature"].get("principal", "")), []
    if proof == "signature":
        return "signature", "", []
    if proof == "cluster_user":
        found = by.get("cluster_user") or {}
        return "cluster_user", str(found.get("user", "")), list(found.get("groups", []))
    return "os_user", str(by.get("user", "")), list(by.get("groups", []))


def refusal(policy: Mapping[str, Any], asked: Mapping[str, Any], by: Mapping[str, Any]) -> str:
    """Why this person may not approve what that one asked for under a policy, without full stop; "" when they may."""
    how, name, groups = deciding(by, policy["proof"])
    if not name:
        return _MISSING[how]
    if how == "cluster_user" and name.startswith(_SERVICE_ACCOUNT):
        return f"{name} is a service account, and no person"
    listed = allowed(policy)
    if listed and name not in policy["approvers"] and not set(groups) & set(policy["approver_groups"]):
        return f"{name} is not among the approvers of this risk class ({', '.join(listed)})"
    if policy["four_eyes"] and _same_person(asked, by, how):
        return f"this risk class needs four eyes, and {name} also made the proposal"
    return ""


def describe(by: Mapping[str, Any]) -> str:
    """``ann@corp (SSH signature by SHA256:..., handed in by bob, uid 1000 on host)``."""
    here = f"uid {by.get('uid')} on {by.get('host')}"
    login = f", logged in as {by['login']}" if by.get("login") else ""
    if by.get("signature"):
        signed = by["signature"]
        return f"{signed['principal']} (SSH signature by {signed['key']}, handed in by {by['user']}, {here}{login})"
    cluster = f", to the cluster {by['cluster_user']['user']}" if by.get("cluster_user") else ""
    return f"{by['user']} (established by {by['established_by']}, {here}{login}{cluster})"


def name_of(by: Mapping[str, Any]) -> str:
    """The shortest name of who decided."""
    return str(by["signature"]["principal"] if by.get("signature") else by["user"])


_MISSING = {
    "signature": "this risk class needs a signature; sign with -e signing_key=KEY, or give a signed approval_file",
    "cluster_user": "this risk class needs the approver's own cluster identity, and the cluster did not say who this is; give your kubeconfig",
    "os_user": "the operating system does not say who this is",
}


def _same_person(asked: Mapping[str, Any], by: Mapping[str, Any], how: str) -> bool:
    """Whether any established identity of one is one of the other's. A file's signer may be somebody else than who hands it in."""
    names = {_spelled(asked.get(key)) for key in ("user", "login")} - {""}
    cluster = _spelled(asked.get("cluster_user"))
    if how == "signature":
        return _spelled(by["signature"].get("principal")) in names | {cluster}
    here = (asked.get("uid"), asked.get("host")) == (by.get("uid"), by.get("host"))
    if here or names & {_spelled(by.get(key)) for key in ("user", "login")}:
        return True
    return how == "cluster_user" and _spelled((by.get("cluster_user") or {}).get("user")) in names | {cluster}


def _spelled(name: Any) -> str:
    """A name without what tells spellings apart: case, form, domain, scope."""
    text = unicodedata.normalize("NFKC", str(name or "")).strip().casefold()
    return text.partition("@")[0].rpartition("\\")[2].rpartition(":")[2].strip()


def _groups() -> list[str]:
    import grp  # not on every platform on which sanity imports this file

    found = []
    for number in sorted({os.getgid(), *os.getgroups()}):
        try:
            found.append(grp.getgrgid(number).gr_name)
        except KeyError:
            found.append(str(number))
    return found


def _login() -> str:
    import pwd

    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            number = int(file.read())
        return "" if number == _UNSET else pwd.getpwuid(number).pw_name
    except (OSError, ValueError, KeyError):
        return ""  # not Linux, or no such user any more: sessions are not told apart there
