# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where in a cluster there is a Prometheus, or what answers its API: by the labels that the common packagings give its Service.

Prometheus itself comes first: Thanos, VictoriaMetrics and Mimir are asked where it is not there. They keep a longer history, but may hold
several clusters; prometheus_url names them where that is wanted.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api

# best first
_LABELS: tuple[Mapping[str, str], ...] = (
    {"app": "kube-prometheus-stack-prometheus"},
    {"app": "rancher-monitoring-prometheus"},
    {"app": "prometheus-operator-prometheus"},
    {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"},
    {"app": "prometheus", "component": "server"},
    {"app.kubernetes.io/name": "prometheus"},
    {"operated-prometheus": "true"},
    {"app": "prometheus-server"},
    {"app": "prometheus"},
    {"k8s-app": "prometheus"},
    {"app.kubernetes.io/name": "thanos-query"},
    {"app.kubernetes.io/name": "thanos-querier"},  # OpenShift
    {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "query-frontend"},
    {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "query"},
    {"app.kubernetes.io/name": "vmselect"},
    {"app": "vmselect"},
    {"app.kubernetes.io/name": "vmsingle"},
    {"app": "vmsingle"},
    {"app.kubernetes.io/name": "victoria-metrics-single"},
    {"app": "victoria-metrics-single"},
    {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "gateway"},
    {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "nginx"},
    {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "query-frontend"},
)
_NAME = "app.kubernetes.io/name"
_PREFIXES = {"mimir": "/prometheus", "vmselect": "/select/0/prometheus"}  # by whose name: where the API is
_APPS = ",".join(sorted({one["app"] for one in _LABELS if "app" in one}))
_NAMES = ",".join(sorted({one[_NAME] for one in _LABELS if _NAME in one}))
_SELECTORS = (f"{_NAME} in ({_NAMES})", "operated-prometheus=true", "k8s-app=prometheus", f"app in ({_APPS})")
_OTHERS = re.compile(r"alertmanager|exporter|pushgateway|operator(?: |$)|adapter|kube-state-metrics")
_PORT_NAMES = ("http-web", "web", "http", "prometheus", "http-metrics", "https", "https-web")
_PORT = 9090


def discover(api: Api) -> str | None:
    """The address, service://NAMESPACE/NAME:PORT, of a Prometheus in the cluster; None where no Service looks like one.

    The first is taken, in the order of labels above, then of namespace and name. Raises ApiError where Services may not be listed.
    """
    listed = (one for selector in _SELECTORS for one in api.pages("/api/v1/services", {"labelSelector": selector}))
    return choose({one["metadata"]["uid"]: one for one in listed}.values())


def choose(services: Any) -> str | None:
    """The same among Service objects."""
    found = [candidate for one in services if (candidate := _candidate(one)) is not None]
    return min(found)[-1] if found else None


def _candidate(service: Mapping[str, Any]) -> tuple[int, str, str, str] | None:
    """(how sure, namespace, name, address) of one Service, None where it is no Prometheus."""
    metadata, ports = service["metadata"], service["spec"].get("ports") or []
    labels, name = metadata.get("labels") or {}, str(metadata["name"])
    parts = " ".join([name, str(labels.get("app.kubernetes.io/component", "")), str(labels.get("component", ""))])
    rank = next((index for index, wanted in enumerate(_LABELS) if wanted.items() <= labels.items()), None)
    if rank is None or not ports or _OTHERS.search(parts) or service["spec"].get("type") == "ExternalName":
        return None
    named = {str(one.get("name", "")): one for one in ports}
    usual = (named[one] for one in _PORT_NAMES if one in named)
    port = next(usual, None) or next((one for one in ports if one["port"] == _PORT), ports[0])
    secure = "https:" if str(port.get("name", "")).startswith("https") else ""
    whose = {labels.get("app"), labels.get(_NAME)}
    prefix = next((path for owner, path in _PREFIXES.items() if owner in whose), "")
    return rank, metadata["namespace"], name, f"service://{metadata['namespace']}/{secure}{name}:{port['port']}{prefix}"
