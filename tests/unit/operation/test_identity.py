# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who may approve: approvers and groups by the identity that counts, and who is the same person under another spelling."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import identity
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import policy

ANN = {"user": "ann", "uid": 1000, "host": "desk", "established_by": "os_user", "cluster_user": "ann@corp"}


def by(user: str = "bea", uid: int = 1001, host: str = "desk", **more: Any) -> dict[str, Any]:
    return {"user": user, "uid": uid, "host": host, "established_by": "os_user", "groups": [user, "staff"], **more}


def cluster(name: str, *groups: str) -> dict[str, Any]:
    return {"cluster_user": {"user": name, "groups": list(groups)}}


def signed(principal: str) -> dict[str, Any]:
    return {"signature": {"principal": principal, "key": "SHA256:x", "statement": "", "armored": ""}}


FOUR_EYES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("two people", "os_user", by(), False),
    ("the same uid elsewhere", "os_user", by(uid=1000, host="b"), False),
    ("the same name elsewhere", "os_user", by("ann", 9, "b"), True),
    ("another name for the same uid", "os_user", by("toor", 1000), True),
    ("capitals", "os_user", by("Ann", 9, "b"), True),
    ("full width", "os_user", by("ａｎｎ", 9, "b"), True),
    ("with a domain", "os_user", by("CORP\\ann", 9, "b"), True),
    ("as an address", "os_user", by("ann@corp.example", 9, "b"), True),
    ("with a space", "os_user", by("ann ", 9, "b"), True),
    ("became somebody else", "os_user", by("root", 0, login="ann"), True),
    ("logged in as somebody else", "os_user", by("root", 0, login="cem"), False),
    ("a shared kubeconfig", "os_user", by(**cluster("ann@corp")), False),
    ("her cluster user under another account", "cluster_user", by(**cluster("ann@corp")), True),
    ("her cluster user in capitals", "cluster_user", by(**cluster("oidc:ANN@corp")), True),
    ("another kubeconfig of the same account", "cluster_user", by("ann", 1000, **cluster("bea@corp")), True),
    ("two accounts, two cluster users", "cluster_user", by(**cluster("bea@corp")), False),
    ("a signer with her name", "signature", by(**signed("ann@corp")), True),
    ("a signer with her name elsewhere", "signature", by(**signed("Ann@other.example")), True),
    ("another's signature that she hands in", "signature", by("ann", 1000, **signed("bea@corp")), False),
    ("a signature where none is asked for", "os_user", by(**signed("ann@corp")), True),
]


@pytest.mark.parametrize("what, proof, approver, same", FOUR_EYES, ids=[row[0] for row in FOUR_EYES])
def test_four_eyes(what: str, proof: str, approver: dict[str, Any], same: bool) -> None:
    asked = policy({"medium": {"four_eyes": True, "proof": proof}})["medium"]
    assert ("needs four eyes" in identity.refusal(asked, ANN, approver)) is same
    assert identity.refusal({**asked, "four_eyes": False}, ANN, approver) == ""


APPROVERS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("nobody is named", {}, by(), ""),
    ("named", {"approvers": ["bea"]}, by(), ""),
    ("not named", {"approvers": ["cem"]}, by(), "bea is not among the approvers of this risk class (cem)"),
    ("other capitals are another name", {"approvers": ["Bea"]}, by(), "bea is not among the approvers"),
    ("in a group", {"approver_groups": ["staff"]}, by(), ""),
    ("in none", {"approver_groups": ["ops"], "approvers": ["cem"]}, by(), "bea is not among the approvers of this risk class (cem, group ops)"),
    ("the cluster's user", {"proof": "cluster_user", "approvers": ["bea@corp"]}, by(**cluster("bea@corp")), ""),
    ("the cluster's group", {"proof": "cluster_user", "approver_groups": ["sre"]}, by(**cluster("bea@corp", "sre")), ""),
    ("not the cluster's group", {"proof": "cluster_user", "approver_groups": ["staff"]}, by(**cluster("bea@corp", "dev")), "bea@corp is not among"),
    ("the cluster does not know", {"proof": "cluster_user"}, by(), "needs the approver's own cluster identity"),
    ("no person", {"proof": "cluster_user"}, by(**cluster("system:serviceaccount:a:b")), "system:serviceaccount:a:b is a service account, and no person"),
    ("no signature", {"proof": "signature"}, by(**cluster("bea@corp")), "this risk class needs a signature"),
    ("an empty signature", {"proof": "signature"}, by(signature={}), "this risk class needs a signature"),
    ("the signer", {"proof": "signature", "approvers": ["bea@corp"]}, by("cem", **signed("bea@corp")), ""),
    ("who handed it in", {"proof": "signature", "approvers": ["cem"]}, by("cem", **signed("bea@corp")), "bea@corp is not among the approvers"),
    ("a signer counts before who handed it in", {"approvers": ["cem"]}, by("cem", **signed("bea@corp")), "bea@corp is not among the approvers"),
]


@pytest.mark.parametrize("what, settings, approver, expected", APPROVERS, ids=[row[0] for row in APPROVERS])
def test_who_may_approve(what: str, settings: dict[str, Any], approver: dict[str, Any], expected: str) -> None:
    found = identity.refusal(policy({"medium": settings})["medium"], ANN, approver)
    assert expected in found and bool(found) is bool(expected)


def test_whoever_runs_this_is_established_by_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody-else")
    found = identity.os_user()
    assert found["user"] != "somebody-else" and found["established_by"] == "os_user" and found["groups"]
    assert "groups" not in identity.requester("reader") and identity.requester("reader")["cluster_user"] == "reader"
