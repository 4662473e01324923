# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Opens the store that a records directory is."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory


def open_store(records_dir: str, feature: str) -> Directory:
    """The store of one feature. Errors as those of Directory."""
    return Directory(records_dir, feature)
