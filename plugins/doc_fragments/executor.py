# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the option that names the identity that may write."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  executor:
    description:
      - Connection options of the identity that rehearses and applies changes, a dictionary with the same keys as this module's own
        connection options, such as C(kubeconfig) and C(context).
      - Without it, the connection options of the module serve for reading and for changing.
    type: dict
"""
