# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether the records of a clone are those of the remote, and whether the remote's history only ever appended to records.

``compare`` returns [{id, problem}]; "" where all is well. Somebody who rewrites a local file together with all its hashes is found out here,
because the remote holds other events; somebody who pushes the rewritten file is found out by the history, in which lines were taken away.
One git process reads all files that differ, so a thousand records take well under a second.
"""

from __future__ import annotations

import os
import re

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_tree import Tree

_ROW = re.compile(r"^(\d+|-)\t(\d+|-)\t(.+)$", re.DOTALL)


def compare(tree: Tree, feature: str, since: str, online: bool) -> list[dict[str, str]]:
    """One row per record of a feature, local or remote, in the order of ids."""
    local, remote = tree.tips()
    folder = f"{tree.root}{feature}"
    here = _files(tree, folder)
    committed, published = tree.tree_of(local, folder), tree.tree_of(remote, folder)
    rewritten = removals(tree, remote or local, folder, since)
    differing = [path for path in published if path in here and here[path][1] != published[path]]
    contents = tree.git.blobs([f"{remote}:{path}" for path in differing])
    rows = []
    for path in sorted({*here, *committed, *published, *rewritten}, key=lambda one: int(os.path.basename(one).split(".")[0])):
        data, name, fault = here.get(path, (None, "", ""))
        there = contents.get(f"{remote}:{path}")
        problem = fault
        if not problem and path in rewritten:
            problem = f"the commit {rewritten[path][:12]} took lines away from it, so published events were rewritten"
        elif not problem and data is None:
            problem = "missing here but on the remote" if path in published else "missing here but committed"
        elif not problem and there is not None and data is not None and not data.startswith(there):
            problem = f"{_difference(there, data)}, so it was rewritten {'at the remote (force push)' if tree.forced else 'here'}"
        elif not problem and committed.get(path) != name:
            problem = "is not committed"
        elif not problem and tree.remote and published.get(path) != name:
            problem = "is not published" + ("" if online else ": the remote cannot be reached")
        rows.append({"id": os.path.basename(path).split(".")[0], "problem": problem})
    return rows


def removals(tree: Tree, commit: str, folder: str, since: str) -> dict[str, str]:
    """{path of a record: the latest commit that took lines away from it}; merges are compared with each parent."""
    if not commit:
        return {}
    span = f"{since}..{commit}" if since else commit
    output = tree.git.run(
        "log", "-m", "--text", "--numstat", "-z", "--no-renames", "--format=%x00%H", span, "--", *([folder] if folder else [])
    )
    found: dict[str, str] = {}
    current = ""
    for part in output.decode(errors="surrogateescape").split("\0"):
        part = part.strip("\n")
        match = _ROW.match(part)
        if not match:
            current = part if re.fullmatch(r"[0-9a-f]{40,64}", part) else current
        elif match[2] != "0" and tree.key(match[3]) and match[3].endswith(".jsonl"):
            found.setdefault(match[3], current)
    return found


def _files(tree: Tree, folder: str) -> dict[str, tuple[bytes | None, str, str]]:
    """{path: (content, blob id, what is wrong with the file)} of the work tree."""
    found: dict[str, tuple[bytes | None, str, str]] = {}
    try:
        names = os.listdir(os.path.join(tree.git.top, folder))
    except FileNotFoundError:
        return {}
    for path in (f"{folder}/{name}" for name in names if name.endswith(".jsonl")):
        if tree.key(path) is None:
            continue
        try:
            data = tree.local(path)
        except AiopsError as error:
            found[path] = (b"", "", str(error))
            continue
        found[path] = (data, tree.blob_id(data or b""), "")
    return found


def _difference(there: bytes, here: bytes) -> str:
    theirs, ours = there.split(b"\n")[:-1], here.split(b"\n")[:-1]
    line = next((number for number, (one, two) in enumerate(zip(theirs, ours), 1) if one != two), 0)
    if not line:
        return f"the remote's record has {len(theirs)} events and this one {len(ours)}"
    return f"the remote's record has other events from line {line} on"
