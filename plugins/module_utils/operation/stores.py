# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Opens the store that a records directory is. The directory says so itself, in ``store.yml``; without that file it is a directory store.

store.yml: ``store`` (directory or git), and for git ``remote`` (a remote of the clone, default origin; empty: commit only) and ``branch``
(default: the one that is checked out). Errors: BadInput naming file and key, RecordDamaged (a link, or writable for anybody), StoreFailed.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, StoreFailed, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

FILE = "store.yml"
_REMOTE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_BRANCH = re.compile(
    r"^(?!.*(\.\.|//|@\{|\.lock(/|\Z)))[A-Za-z0-9_][A-Za-z0-9._/@+-]*(?<![./])\Z"
)  # no more than git allows, and no option
_RULES = {
    "remote": (_REMOTE, "Give the name of a remote of the clone, such as origin, or '' to only commit."),
    "branch": (_BRANCH, "Give the name of a branch, such as main."),
}
_KINDS = ("directory", "git")
_KEYS = {"directory": ("store",), "git": ("store", "remote", "branch")}


def open_store(records_dir: str, feature: str) -> Directory:
    """The store of one feature. Errors as those of its class, and those of store.yml."""
    directory = os.path.abspath(os.path.expanduser(records_dir))
    given = _read(os.path.join(directory, FILE))
    if given.get("store", "directory") == "directory":
        return Directory(records_dir, feature)
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_store import Git
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_tree import Settings

    return Git(records_dir, feature, Settings(str(given.get("remote", "origin")), str(given.get("branch", ""))))


def _read(path: str) -> dict[str, Any]:
    """What a store.yml says; {} where there is none."""
    try:
        descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}  # no directory yet: the store says so when it needs one
    try:
        data = files.content(descriptor, path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreFailed(f"{path} cannot be read: {error.strerror}.", "Give yourself the right to read it.") from error
    finally:
        os.close(descriptor)
    yaml = library("yaml")
    try:
        given = yaml.safe_load(data.decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not YAML: {' '.join(str(error).split())}.", "Write for example: store: git") from error
    return _checked(path, given)


def _checked(path: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or "store" not in given:
        raise BadInput(f"{path} does not say which store it is.", "Write for example: store: git")
    if given["store"] not in _KINDS:
        raise BadInput(f"{path}: store is {given['store']!r}.", f"It must be one of {', '.join(_KINDS)}.")
    unknown = [str(key) for key in given if key not in _KEYS[given["store"]]]
    if unknown:
        raise BadInput(f"{path}: {unknown[0]} is no key of a {given['store']} store.", f"Known: {', '.join(_KEYS[given['store']])}.")
    for key, (rule, fix) in _RULES.items():
        value = given.get(key, "")
        if value != "" and not (isinstance(value, str) and rule.match(value)):
            raise BadInput(f"{path}: {key} is {value!r}.", fix)
    return given
