# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbook scale where it has nothing to go on: a clear sentence, no record, nothing changed. The whole way is a Molecule scenario (scale)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.integration.support import Ansible

WRONG: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("no namespace", {"target_namespace": None}, ("namespace",)),
    ("no such namespace", {"target_namespace": "aiops-nowhere"}, ("There is no namespace aiops-nowhere",)),
    ("no such workload", {"workload": "deployment/nobody"}, ("There is no Deployment nobody in namespace kube-system",)),
    ("another kind", {"workload": "daemonset/web"}, ("a daemonset cannot be scaled by this workflow",)),
    ("Prometheus unreachable", {"prometheus_url": "http://127.0.0.1:9"}, ("Prometheus at http://127.0.0.1:9 (prometheus_url) cannot be reached",)),
    ("no Prometheus", {"source": "prometheus"}, ("No Prometheus is known", "prometheus_url")),
    ("no address", {"prometheus_url": "prometheus"}, ("prometheus_url 'prometheus' is not an address.",)),
    ("custom without query", {"resource": "custom"}, ("prometheus_query or prometheus_target is missing",)),
    ("prices without currency", {"prices": {"vcpu_hour": 1, "gib_hour": 1}}, ("prices.currency",)),
]


@pytest.fixture
def ansible(cluster: Cluster, tmp_path: Path) -> Ansible:
    return Ansible(tmp_path, target_namespace="kube-system", workload="deployment/coredns", window_seconds=20)


@pytest.mark.parametrize("options, says", [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_wrong_input(ansible: Ansible, options: dict[str, Any], says: tuple[str, ...]) -> None:
    ansible("scale", **options).refused(*says)
    assert not list(ansible.records.rglob("*.jsonl")) and not list(ansible.directory.rglob("*.part"))
