# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The options with which modules are told about a Prometheus."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  prometheus_url:
    description:
      - Address of Prometheus, or of what answers its HTTP API (Thanos, Mimir, VictoriaMetrics), as C(http(s)://HOST[:PORT][/PREFIX]).
      - C(service://NAMESPACE/NAME:PORT[/PREFIX]) reaches a Service of the cluster through the API server. Falls back to E(AIOPS_PROMETHEUS_URL).
    type: str
  prometheus_token:
    description: Bearer token for Prometheus. Falls back to E(AIOPS_PROMETHEUS_TOKEN).
    type: str
  prometheus_token_file:
    description: File that holds the token. Falls back to E(AIOPS_PROMETHEUS_TOKEN_FILE).
    type: path
  prometheus_username:
    description: User name for Prometheus. Falls back to E(AIOPS_PROMETHEUS_USERNAME).
    type: str
  prometheus_password:
    description: Password for Prometheus. Falls back to E(AIOPS_PROMETHEUS_PASSWORD).
    type: str
  prometheus_tenant:
    description: Tenant, sent as the header C(X-Scope-OrgID). Falls back to E(AIOPS_PROMETHEUS_TENANT).
    type: str
  prometheus_ca_cert:
    description: File with the certificates that Prometheus is checked against. Falls back to E(AIOPS_PROMETHEUS_CA_CERT).
    type: path
  prometheus_validate_certs:
    description: Whether the certificate of Prometheus is checked. Falls back to E(AIOPS_PROMETHEUS_VALIDATE_CERTS), else it is.
    type: bool
  prometheus_labels:
    description: Labels that the series must have, such as C(cluster), where one Prometheus holds several clusters.
    type: dict
    default: {}
"""
