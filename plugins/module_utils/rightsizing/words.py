# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Amounts, counts and times in the sentences of right-sizing. Pure; nothing raises."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span

DAY = 86400.0


def cores(value: float) -> str:
    """What was measured, in thousandths: 4.25m, 145.6m, 1250m."""
    thousandths = value * 1000
    shown = f"{thousandths:.2f}" if thousandths < 10 else f"{thousandths:.1f}" if thousandths < 1000 else f"{thousandths:.0f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown}m"


def size(value: float) -> str:
    """Bytes that were measured: 4.2Mi, 145.6Mi, 2.31Gi."""
    amount, unit = (value / 2**30, "Gi") if value >= 10 * 2**30 else (value / 2**20, "Mi")
    shown = f"{amount:.2f}" if amount < 10 else f"{amount:.1f}"
    return f"{shown.rstrip('0').rstrip('.')}{unit}"


def days(seconds: float) -> str:
    """8 days, 6.5 days, 5 h."""
    if seconds < DAY:
        return span(max(0.0, seconds))
    number = f"{seconds / DAY:.1f}".removesuffix(".0")
    return f"{number} day{'' if number == '1' else 's'}"


def percent(fraction: float) -> str:
    """24 %; small ones with a digit more."""
    value = fraction * 100
    return f"{value:.1f} %" if 0 < abs(value) < 9.95 else f"{value:.0f} %"
