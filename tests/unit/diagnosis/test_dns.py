# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The cluster's DNS: down, and well."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.cluster import OBJECT_RULES

from tests.unit.diagnosis import objects as make
from tests.unit.diagnosis.traffic import Object, app, endpoints, judge, seen, service

LABELS = {"k8s-app": "kube-dns"}


def server(name: str = "kube-dns") -> Object:
    return service(name, LABELS, ports=((53, 53),), namespace="kube-system")


def pods(**more: Any) -> list[Object]:
    made = app("coredns", LABELS, **more)
    for item in made:
        item["metadata"]["namespace"] = "kube-system"
    return made


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([server(), endpoints("kube-dns", 0, "kube-system"), *pods(replicas=0)], "deployment/coredns is scaled to 0 replicas"),
        ([server(), endpoints("kube-dns", 0, "kube-system"), *pods(ready=False)], "coredns-0: not ready"),
        ([server(), *pods(ready=False)], "deployment/coredns"),
        ([server()], "no pod has the labels k8s-app=kube-dns"),
        ([endpoints("kube-dns", 0, "kube-system"), *pods(ready=False)[2:]], "coredns-0"),
        ([endpoints("kube-dns", 0, "kube-system")], "no pod has the labels"),
    ],
)
def test_dns_is_down(items: list[Object], words: str) -> None:
    (finding,) = judge(OBJECT_RULES, seen(*items))
    assert finding.code == "DNSDown" and finding.severity == "critical"
    assert finding.object == {"kind": "Service", "namespace": "kube-system", "name": "kube-dns"}
    assert words in finding.root_cause


@pytest.mark.parametrize(
    "items",
    [
        [server(), endpoints("kube-dns", 1, "kube-system"), *pods()],
        [server(), *pods()],
        [endpoints("kube-dns", 1, "kube-system")],
        [service("kube-dns"), *app()],
        [endpoints("web", 0)],
    ],
)
def test_dns_is_well(items: list[Object]) -> None:
    assert not judge(OBJECT_RULES, seen(*items))


def test_nothing_is_said_of_lists_that_were_not_read() -> None:
    assert not judge(OBJECT_RULES, seen(server(), unread=("endpointslices",)))


def test_new_pods_may_take_a_moment() -> None:
    items = pods(ready=False)
    items[-1]["metadata"]["creationTimestamp"] = make.ago(5)
    assert not judge(OBJECT_RULES, seen(server(), *items))
