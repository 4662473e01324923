# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The one exception tree. Utilities raise; only a module's or action's entry turns it into a failed result."""

from __future__ import annotations

import importlib
from typing import Any


class AiopsError(Exception):
    """Something a person can act on. ``message`` names the option and the object, ``fix`` says what to do about it."""

    def __init__(self, message: str, fix: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class BadInput(AiopsError):
    """An option or an input file is wrong."""


class NotFound(AiopsError):
    """The named target does not exist (any more)."""


class MissingLibrary(AiopsError):
    """A Python library that this collection needs cannot be imported."""


class GateRefused(AiopsError):
    """The gate refused to approve, to apply or to undo; the cluster was not touched."""


class RecordDamaged(AiopsError):
    """A record does not verify: cut, edited, reordered, or not ours."""


class StoreFailed(AiopsError):
    """A record could not be written; what it would have allowed was not done."""


_PACKAGES = {"yaml": "PyYAML", "dateutil": "python-dateutil", "markdown_it": "markdown-it-py"}


def library(name: str) -> Any:
    """Import a third-party library when it is first needed, so that start-up pays for nothing it does not use.

    Raises MissingLibrary, which names the package to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".", maxsplit=1)[0]
        package = _PACKAGES.get(package, package)
        raise MissingLibrary(
            f"The Python library {package} cannot be imported: {error}.",
            f"Install it for the Python that runs Ansible: python -m pip install {package}",
        ) from error
