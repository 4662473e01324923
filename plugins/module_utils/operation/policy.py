# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an approval must look like, per risk class. The policy in force is part of the plan that is hashed and approved."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

RISKS = ("low", "medium", "critical")

# sla_minutes: a decision is expected within; plan_minutes: the proposal may be decided within;
# approval_minutes: an approval may be executed within; four_eyes: approver and requester must be two people;
# approvers: OS users that may decide, empty means anyone who may write the records
DEFAULTS: dict[str, dict[str, Any]] = {
    "low": {"sla_minutes": 240, "plan_minutes": 1440, "approval_minutes": 240, "four_eyes": False, "approvers": []},
    "medium": {"sla_minutes": 60, "plan_minutes": 480, "approval_minutes": 60, "four_eyes": False, "approvers": []},
    "critical": {"sla_minutes": 30, "plan_minutes": 120, "approval_minutes": 30, "four_eyes": True, "approvers": []},
}
_TYPES: dict[str, type] = {name: type(value) for name, value in DEFAULTS["low"].items()}


def policy(overrides: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The defaults with a user's overrides, {risk: {key: value}}. Raises BadInput that names the key."""
    merged = {risk: dict(values) for risk, values in DEFAULTS.items()}
    for risk, values in (overrides or {}).items():
        if risk not in merged or not isinstance(values, Mapping):
            raise BadInput(f"policy.{risk} is not a risk class with settings.", f"The classes are {', '.join(RISKS)}.")
        for key, value in values.items():
            merged[risk][key] = _checked(f"policy.{risk}.{key}", key, value)
    return merged


def _checked(where: str, key: str, value: Any) -> Any:
    expected = _TYPES.get(key)
    if expected is None:
        raise BadInput(f"{where} is not a setting.", f"The settings are {', '.join(_TYPES)}.")
    if expected is int and (isinstance(value, bool) or not isinstance(value, int) or value <= 0):
        raise BadInput(f"{where} is {value!r}; it must be a whole number of minutes above 0.")
    if expected is bool and not isinstance(value, bool):
        raise BadInput(f"{where} is {value!r}; it must be true or false.")
    if expected is list and (not isinstance(value, list) or not all(isinstance(name, str) and name for name in value)):
        raise BadInput(f"{where} is {value!r}; it must be a list of user names.")
    return value
