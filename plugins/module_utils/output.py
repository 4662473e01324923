# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files that an option names, such as result_file: written whole or not at all, with errors that name the option."""

from __future__ import annotations

import os

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

_FIX = "Give a path in a directory that you may write."


def writable(option: str, path: str) -> None:
    """Raises BadInput when the file could not be written later on."""
    directory = os.path.dirname(os.path.abspath(path))
    problem = "is a directory" if os.path.isdir(path) else "" if os.access(directory, os.W_OK) else "Permission denied"
    problem = problem if os.path.isdir(directory) else "No such file or directory"
    if problem:
        raise BadInput(f"{option} {path} cannot be written: {problem}.", _FIX)


def write(option: str, path: str, data: bytes) -> None:
    """Whole or not at all. Raises BadInput."""
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise BadInput(f"{option} {path} cannot be written: {error.strerror}.", _FIX) from error
