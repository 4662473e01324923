# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Kubernetes quantities: read by the official client's parser, written in the unit that people use."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, library


def amount(quantity: str | int) -> float:
    """Bytes or cores. Raises ValueError."""
    return float(library("kubernetes.utils.quantity").parse_quantity(quantity))


def option(name: str, text: str, example: str) -> float:
    """Cores or bytes, above 0, of an option. Raises BadInput, which names it."""
    try:
        value = amount(text)
    except ValueError as error:
        raise BadInput(f"{name} is {text!r}: {error}.", f"Give a quantity such as {example}.") from error
    if value <= 0:
        raise BadInput(f"{name} is {text!r}, which is not above 0.", f"Give a quantity such as {example}.")
    return value


def cpu(cores: float) -> str:
    """Cores as the API server writes them: 250m, 2."""
    thousandths = int(cores * 1000)
    return f"{thousandths}m" if thousandths % 1000 else f"{thousandths // 1000}"


def memory(size: float) -> str:
    """Whole bytes as the largest binary unit that loses nothing below 1 Mi: 48Mi, 1536Mi, 2Gi."""
    mebibytes = max(1, -(-int(size) // 2**20))
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
