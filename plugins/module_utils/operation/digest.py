# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The digest that identifies a plan or an event: SHA-256 over its RFC 8785 (canonical JSON) form."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, library

SHORT = 8  # hexadecimal digits that a person types to name a plan


def canonical(document: Any) -> bytes:
    """Raises BadInput for what JSON cannot hold exactly (NaN, integers beyond 2**53)."""
    rfc8785 = library("rfc8785")
    try:
        return bytes(rfc8785.dumps(document))
    except rfc8785.CanonicalizationError as error:
        raise BadInput(f"The document has no canonical JSON form: {error}.") from error


def digest(document: Any) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical(document)).hexdigest()
