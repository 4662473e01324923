# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Snapshots in files: options snapshot_file and replay. Errors are BadInput, and name the option or the file."""

from __future__ import annotations

import json
from typing import Any, Iterable

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound


def load(path: str, schema: str, lists: Iterable[str]) -> dict[str, Any]:
    """A snapshot of this schema that has at least these lists of objects."""
    try:
        with open(path, encoding="utf-8") as file:
            snapshot = json.load(file)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The snapshot {path} cannot be read: {error}.", "Give a file that snapshot_file wrote with the option replay."
        ) from error
    known = isinstance(snapshot, dict) and snapshot.get("schema") == schema and isinstance(snapshot.get("objects"), dict)
    if not isinstance(snapshot, dict) or not known or not set(lists) <= set(snapshot["objects"]):
        raise BadInput(f"{path} is not a snapshot of this version ({schema}).", "Give one that the same playbook wrote.")
    return snapshot


def save(path: str, snapshot: dict[str, Any]) -> None:
    """Write a snapshot from which secrets were taken."""
    output.write("snapshot_file", path, json.dumps(snapshot).encode())


def require_namespace(namespace: str, found: bool, server: str) -> None:
    """Raises NotFound where the option namespace names none that is there."""
    if namespace and not found:
        raise NotFound(
            f"There is no namespace {namespace} in the cluster {server}.", "Check the option namespace, and the context of the kubeconfig."
        )
