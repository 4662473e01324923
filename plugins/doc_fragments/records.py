# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the options that say where records are."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  records_dir:
    description:
      - Directory of the records and their PHRs, one directory per feature below it.
      - It is created when it does not exist. Without a writable one nothing is proposed, approved or changed.
    type: path
    default: ./history/prompts
  feature:
    description:
      - Name of the directory below O(records_dir), as spec-kit routes PHRs. Ids of records count per feature.
    type: str
    default: 004-phase-iv-aiops
requirements:
  - python >= 3.11
  - PyYAML
  - rfc8785 >= 0.1.4
attributes:
  diff_mode:
    support: none
    description: Not supported.
"""
