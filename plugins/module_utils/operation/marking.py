# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What ties an object to the record that changed it, and how an object that may carry that mark is written to.

How far a change has come is ``PENDING``, ``BEGUN`` (made in part: carrying it out goes on with it), ``APPLIED``, or the sentence that says why it
cannot be made. Raises GateRefused where an object is not as it must be, and the API's own error.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch

Change = dict[str, Any]
RACES = 10  # times that a status update may come between our read and our patch before we give up
PENDING, BEGUN, APPLIED = "pending", "begun", "applied"


class Mark(NamedTuple):
    """What ties an object to its record: FEATURE/ID, the plan's digest, and what ``kubernetes.io/change-cause`` says."""

    record: str
    digest: str
    cause: str

    def on(self, live: Mapping[str, Any]) -> bool:
        """Whether an object carries it. The digest counts: a record may be renumbered when it is published."""
        return patch.mark_of(dict(live))[1] == self.digest


def name_of(change: Mapping[str, Any]) -> str:
    """``kind/name`` of the object that a change, or an entry of ``requires`` or ``restore``, is about."""
    return f"{change['object']['kind'].lower()}/{change['object']['name']}"


def patch_marked(
    api: Api,
    subject: Mapping[str, str],
    operations: list[dict[str, Any]],
    mark: Mark,
    also: Callable[[dict[str, Any]], list[str]] = lambda live: [],
) -> None:
    """Patch an object and mark it. ``also``: what else has to hold at that moment, as sentences about what does not."""
    refused: tuple[str, ApiError] | None = None
    for _attempt in range(RACES):
        live = objects.read(api, subject)
        moved = [*patch.holds(live, operations), *also(live)] if live else ["the object does not exist any more"]
        if live is None or moved:
            raise GateRefused(f"{subject['kind'].lower()}/{subject['name']} is not as it was: {'; '.join(moved)}.")
        version = live["metadata"]["resourceVersion"]
        if refused and refused[0] == version:
            raise refused[1]  # nobody wrote to it meanwhile, so it is not a race
        try:
            objects.patch(api, subject, [*operations, *patch.marks(live, mark.record, mark.digest, mark.cause)], dry_run=False)
            return
        except ApiError as error:
            if error.status not in (409, 422):
                raise
            refused = version, error
    raise GateRefused(f"{subject['kind'].lower()}/{subject['name']} was written to {RACES} times while it was to be changed.", "Try again.")


def absent(change: Change, live: dict[str, Any] | None) -> str:
    """Why the object of a change is not the one that was diagnosed, or ""."""
    if live is None:
        return f"{name_of(change)} does not exist any more"
    again = live["metadata"]["uid"] != change["object"]["uid"]
    return f"{name_of(change)} was deleted and created again since it was diagnosed" if again else ""


def require_mark(change: Change, live: dict[str, Any], mark: Mark) -> None:
    """Raises GateRefused where nothing of this record can be undone, since the object does not carry its mark."""
    if not mark.on(live):
        other = patch.mark_of(live)[0]
        by = f"that of record {other}" if other else "none"
        raise GateRefused(f"{change['object']['name']} does not carry the mark of this record but {by}, so nothing of it is undone there.")


def without_generation(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A patch without its test of the generation, for an object that a controller may have scaled meanwhile."""
    return [operation for operation in operations if operation["path"] != "/metadata/generation"]
