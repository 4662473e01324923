# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files that belong to a record beside its events, such as plots: ``0007-usage-1.svg``. The first event holds their digests.

In a proposal: ``attachments`` [{name, title, text, content}], ``content`` the file's text, ``text`` what it shows in words. In the event:
[{name, title, text, sha256, bytes}], which the digest of what the approver is shown covers. So a file that was changed, or is missing, is
found out by ``read``, which gives the file or a sentence about what is wrong with it.

Errors: BadInput for a proposal's attachment that is none; StoreFailed for contents that are not those described.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, RecordDamaged, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

LARGEST = 512 * 1024  # bytes of one file
MOST = 16
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,59}\.svg\Z")
_NUMBER = re.compile(r"^[0-9]{4,}\Z")


def described(proposed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the first event says about a proposal's attachments."""
    contents(proposed)
    return [
        {"name": one["name"], "title": redact(str(one["title"]))[0], "text": redact(str(one["text"]))[0], **_measured(_bytes(one))}
        for one in proposed
    ]


def contents(proposed: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """{name: content} of a proposal's attachments. Raises BadInput."""
    found: dict[str, bytes] = {}
    for one in proposed:
        name = str(one["name"])
        if not _NAME.match(name) or name in found:
            raise BadInput(
                f"The attachment {name!r} cannot be kept.", "Name it with small letters, digits and dashes, and .svg; each once."
            )
        found[name] = _bytes(one)
        if len(found[name]) > LARGEST or len(found) > MOST:
            raise BadInput(f"The attachment {name} is too large, or one too many.", f"Keep to {MOST} files of at most {LARGEST} bytes.")
    return found


def of(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The descriptions in a record, without any that is none."""
    listed = events[0]["payload"].get("attachments")
    return [one for one in listed if isinstance(one, dict) and _NAME.match(str(one.get("name")))] if isinstance(listed, list) else []


def file_name(identifier: str, name: str) -> str:
    """``0007-usage-1.svg``, beside the record."""
    return f"{identifier}-{name}"


def put(directory: int, events: Sequence[Event], wanted: Mapping[str, bytes], temporary: str) -> None:
    """Write the files of a record that is about to be made, each whole or not at all. Raises OSError; StoreFailed before any is written."""
    for one in of(events):
        if _measured(wanted.get(one["name"], b""))["sha256"] != one["sha256"]:
            raise StoreFailed(f"The attachment {one['name']} is not the one that the proposal describes. Nothing was proposed.")
    for one in of(events):
        files.place(directory, file_name(events[0]["payload"]["id"], one["name"]), wanted[one["name"]], temporary)


def read(directory: int, events: Sequence[Event]) -> dict[str, bytes | str]:
    """{name: the file, or what is wrong with it} in the folder of this descriptor.

    A git store may have given the record another number: the file is looked for under the first one as well.
    """
    proposal = events[0]["payload"]
    first = events[0].get("renumbered")
    numbers = [str(proposal["id"]), *([str(first.get("from"))] if isinstance(first, dict) else [])]
    return {one["name"]: _first(directory, [number for number in numbers if _NUMBER.match(number)], one) for one in of(events)}


def problems(directory: int, events: Sequence[Event]) -> list[str]:
    """Sentences about the files that are not what the record says."""
    return [one for one in read(directory, events).values() if isinstance(one, str)]


def _first(directory: int, numbers: Sequence[str], one: Mapping[str, Any]) -> bytes | str:
    found = [_file(directory, file_name(number, one["name"]), one) for number in numbers]
    return next((data for data in found if isinstance(data, bytes)), found[0] if found else "")


def _file(directory: int, name: str, one: Mapping[str, Any]) -> bytes | str:
    try:
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_size > LARGEST:
            return f"Its attachment {name} is not what the record says: it is too large."
        data = files.content(directory, name)
    except FileNotFoundError:
        return f"Its attachment {name} is missing."
    except OSError as error:
        return f"Its attachment {name} cannot be read: {error.strerror}."
    except RecordDamaged as error:
        return f"Its attachment {name} cannot be used: {error.message}"
    if hashlib.sha256(data).hexdigest() != one.get("sha256"):
        return f"Its attachment {name} is not what the record says: it was changed after it was recorded."
    return data


def _bytes(one: Mapping[str, Any]) -> bytes:
    return str(one["content"]).encode()


def _measured(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
