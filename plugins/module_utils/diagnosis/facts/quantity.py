# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Kubernetes quantities: read by the official client's parser, written in the unit that people use."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.errors import library


def amount(quantity: str | int) -> float:
    """Bytes or cores. Raises ValueError."""
    return float(library("kubernetes.utils.quantity").parse_quantity(quantity))


def cpu(cores: float) -> str:
    """Cores as the API server writes them: 250m, 2."""
    thousandths = int(cores * 1000)
    return f"{thousandths}m" if thousandths % 1000 else f"{thousandths // 1000}"


def memory(size: float) -> str:
    """Whole bytes as the largest binary unit that loses nothing below 1 Mi: 48Mi, 1536Mi, 2Gi."""
    mebibytes = max(1, -(-int(size) // 2**20))
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
