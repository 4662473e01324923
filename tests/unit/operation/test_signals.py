# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which warning events are those of a workload since its change, also of pods that are gone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import signals

SINCE = "2026-11-21T12:00:00.500Z"
WEB = {"kind": "Deployment", "namespace": "shop", "name": "web"}
STATE = {
    "uid": "uid-web",
    "pods": [{"name": "web-6d4cf56db6-aaaaa", "uid": "uid-a", "current": True}, {"name": "web-5bdb8db7cc-bbbbb", "uid": "uid-b", "current": False}],
}


def event(
    name: str = "web-6d4cf56db6-aaaaa", uid: str = "uid-a", kind: str = "Pod", last: str = "2026-11-21T12:00:00Z", **more: Any
) -> dict[str, Any]:
    involved = {"kind": kind, "name": name, "uid": uid}
    return {"type": "Warning", "reason": "Unhealthy", "message": "m", "count": 2, "lastTimestamp": last, "involvedObject": involved, **more}


@pytest.mark.parametrize(
    ("one", "kind", "counts"),
    [
        (event(), "Deployment", True),
        (event(last="2026-11-21T11:59:59Z"), "Deployment", False),
        (event(type="Normal"), "Deployment", False),
        (event("web-5bdb8db7cc-bbbbb", "uid-b"), "Deployment", False),
        (event("web-6d4cf56db6-ccccc", "uid-gone"), "Deployment", True),
        (event("web-6d4cf56db6-canary", "uid-gone"), "Deployment", False),
        (event("web-6d4cf56db6", "uid-rs", "ReplicaSet"), "Deployment", True),
        (event("web-5bdb8db7cc", "uid-rs", "ReplicaSet"), "Deployment", False),
        (event("web", "uid-web", "Deployment"), "Deployment", True),
        (event("web-admin-6d4cf56db6-ccccc", "x"), "Deployment", False),
        (event("web-6d4cf56db6-ccccc", "uid-gone"), "DaemonSet", False),
        (event("", ""), "Deployment", False),
    ],
    ids=[
        "its pod",
        "before the change",
        "no warning",
        "an old revision's pod",
        "a pod that is gone",
        "another name",
        "its ReplicaSet",
        "an old ReplicaSet",
        "itself",
        "a longer name",
        "a name that proves nothing",
        "about nothing",
    ],
)
def test_whose_signal_it_is(one: dict[str, Any], kind: str, counts: bool) -> None:
    assert bool(signals.about([one], {**WEB, "kind": kind}, STATE, SINCE)) is counts


@pytest.mark.parametrize(
    ("one", "count", "last"),
    [
        (event(), 2, "2026-11-21T12:00:00Z"),
        (event(firstTimestamp="2026-11-21T11:00:00Z", count=40), 1, "2026-11-21T12:00:00Z"),
        (event(lastTimestamp=None, eventTime="2026-11-21T12:01:00.123456Z", count=None), 1, "2026-11-21T12:01:00.123456Z"),
        (event(series={"count": 7, "lastObservedTime": "2026-11-21T12:05:00.000000Z"}), 7, "2026-11-21T12:05:00.000000Z"),
        (event(lastTimestamp=None, metadata={"creationTimestamp": "2026-11-21T12:02:00Z"}), 2, "2026-11-21T12:02:00Z"),
    ],
    ids=["plain", "some before", "event time", "series", "creation"],
)
def test_how_often_and_when(one: dict[str, Any], count: int, last: str) -> None:
    found = signals.about([one], WEB, STATE, SINCE)
    assert [(signal["count"], signal["last"]) for signal in found] == [(count, last)]


def test_messages_are_redacted_and_short_and_the_newest_comes_first() -> None:
    long = event(message="password=hunter2\n" + "x " * 400, last="2026-11-21T12:09:00Z")
    found = signals.about([event(), long], WEB, STATE, SINCE)
    assert [one["last"] for one in found] == ["2026-11-21T12:09:00Z", "2026-11-21T12:00:00Z"]
    assert "hunter2" not in found[0]["message"] and len(found[0]["message"]) <= 200 and "\n" not in found[0]["message"]
