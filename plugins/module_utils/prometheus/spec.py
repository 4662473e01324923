# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The options with which modules are told about a Prometheus; the fragment prometheus documents them, options.py reads them."""

from __future__ import annotations

from typing import Any

PROMETHEUS: dict[str, Any] = {
    "prometheus_url": {"type": "str"},
    "prometheus_token": {"type": "str", "no_log": True},
    "prometheus_token_file": {"type": "path"},
    "prometheus_username": {"type": "str"},
    "prometheus_password": {"type": "str", "no_log": True},
    "prometheus_tenant": {"type": "str"},
    "prometheus_ca_cert": {"type": "path"},
    "prometheus_validate_certs": {"type": "bool"},
    "prometheus_labels": {"type": "dict", "default": {}},
}
