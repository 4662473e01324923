# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster that tests run against: one that is given, kind, or a real one-node cluster of programs on this machine.

python -m tests.cluster up | status | down

from tests.cluster import running
cluster = running()  # None when no cluster is up
"""

from __future__ import annotations

from .model import Cluster, running

__all__ = ["Cluster", "running"]
