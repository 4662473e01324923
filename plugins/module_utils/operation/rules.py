# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What governs the approvals of a store: its policy file and the keys of those who may sign.

They are read from one directory, named by nothing that the caller of a playbook can pass as a variable:
    /etc/aiops.k8s              where it exists
    $AIOPS_K8S_POLICY_DIR       else, where it is set
    records_dir                 else
Files, all optional: policy.yml ({risk: {setting: value}}), allowed_signers and revoked_keys as ssh-keygen reads them.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import Policy, policy

SITE = "/etc/aiops.k8s"
VARIABLE = "AIOPS_K8S_POLICY_DIR"
POLICY_FILE, SIGNERS_FILE, REVOKED_FILE = "policy.yml", "allowed_signers", "revoked_keys"


@dataclass(frozen=True)
class Rules:
    """policies: {risk: policy} of the policy file, empty where there is none; signers, revoked: paths, "" where there is no such file."""

    directory: str = ""
    policies: Mapping[str, Policy] | None = None
    signers: str = ""
    revoked: str = ""

    def of(self, plan: Mapping[str, Any]) -> list[Policy]:
        """Every policy that a decision on this plan has to satisfy: the one stored in it, and the file's as it is now."""
        return [policy({plan["risk"]: plan["policy"]})[plan["risk"]], *([self.policies[plan["risk"]]] if self.policies else [])]

    def for_proposals(self, overrides: Mapping[str, Any] | None) -> dict[str, Policy]:
        """The policies that new plans get: the file's, or the defaults, with the option's settings."""
        return policy(overrides, self.policies)


def governing(store: Any) -> Rules:
    """The rules of an opened store."""
    return rules(os.path.dirname(store.path))


def rules(records_dir: str) -> Rules:
    """The rules of a store. Raises BadInput naming the file and the key."""
    directory = SITE if os.path.isdir(SITE) else os.environ.get(VARIABLE) or records_dir
    directory = os.path.abspath(os.path.expanduser(directory))
    if directory != os.path.abspath(os.path.expanduser(records_dir)) and not os.path.isdir(directory):
        raise BadInput(f"{VARIABLE} is {directory}, which is no directory.", "Give the directory of policy.yml and allowed_signers, or unset it.")
    text = _text(os.path.join(directory, POLICY_FILE))
    policies = None if text is None else policy(_mapping(text, os.path.join(directory, POLICY_FILE)), where=os.path.join(directory, POLICY_FILE))
    signers, revoked = (_present(os.path.join(directory, name)) for name in (SIGNERS_FILE, REVOKED_FILE))
    return Rules(directory, policies, signers, revoked)


def _mapping(text: str, path: str) -> Mapping[str, Any]:
    yaml = library("yaml")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, Mapping):
        raise BadInput(f"{path} is not a mapping of risk classes.", "Write low, medium or critical, with settings below.")
    return document


def _present(path: str) -> str:
    return path if _text(path) is not None else ""


def _text(path: str) -> str | None:
    """The content; None where there is no such file. A file that anyone may write rules nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise BadInput(f"{path} may be written by anyone, so it cannot say who may approve.", f"chmod o-w {path}")
            return file.read()
    except (FileNotFoundError, NotADirectoryError):  # the store says what is wrong with records_dir
        return None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
