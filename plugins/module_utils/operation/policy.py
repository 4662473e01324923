# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an approval must look like, per risk class: {risk: {setting: value}}, checked on load, with errors that name the key.

The policy in force becomes part of the plan that is hashed. A policy file (see rules.py) also binds when the plan is decided and
carried out, so that an option can make a proposal's policy stricter than the file, never laxer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

Policy = dict[str, Any]
RISKS = ("low", "medium", "critical")
PROOFS = ("os_user", "cluster_user", "signature")  # what establishes who approves, from weakest to strongest
_PROOF_WORDS = {"cluster_user": "the approver's own cluster identity is needed", "signature": "an SSH signature of the approver is needed"}
_WINDOW_KEYS = ("from", "until", "rrule", "hours", "timezone", "reason")
_RULE_START = datetime(2020, 1, 1)  # recurrences are counted from here, at midnight


def _minutes(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) and value > 0 else "it must be a whole number of minutes above 0"


def _boolean(value: Any) -> str:
    return "" if isinstance(value, bool) else "it must be true or false"


def _proof(value: Any) -> str:
    return "" if isinstance(value, str) and value in PROOFS else f"it must be one of {', '.join(PROOFS)}"


def _names(value: Any) -> str:
    proper = isinstance(value, list) and all(isinstance(name, str) and name.strip() for name in value)
    return "" if proper else "it must be a list of names"


def _windows(value: Any) -> str:
    if not isinstance(value, list):
        return "it must be a list of windows"
    return next((f"window {number}: {fault}" for number, one in enumerate(value, 1) if (fault := _window_fault(one))), "")


@dataclass(frozen=True)
class Setting:
    """One setting: its defaults per risk class, what is wrong with a value ("" when nothing), and what it means."""

    defaults: tuple[Any, Any, Any]
    fault: Callable[[Any], str]
    meaning: str


SETTINGS: dict[str, Setting] = {
    "sla_minutes": Setting((240, 60, 30), _minutes, "minutes within which a decision is due"),
    "plan_minutes": Setting((1440, 480, 120), _minutes, "minutes after which a proposal can no longer be decided"),
    "approval_minutes": Setting((240, 60, 30), _minutes, "minutes for which an approval may be carried out"),
    "four_eyes": Setting((False, False, True), _boolean, "whether approver and requester must be two people"),
    "proof": Setting(("os_user",) * 3, _proof, "how the approver must be established: os_user, cluster_user or signature"),
    "approvers": Setting(([], [], []), _names, "who may approve; with approver_groups empty too: everyone who can write the records"),
    "approver_groups": Setting(([], [], []), _names, "groups whose members may approve"),
    "freeze": Setting(([], [], []), _windows, "windows in which nothing is approved or carried out"),
}
DEFAULTS: dict[str, Policy] = {
    risk: {name: setting.defaults[number] for name, setting in SETTINGS.items()} for number, risk in enumerate(RISKS)
}


def policy(overrides: Mapping[str, Any] | None, base: Mapping[str, Policy] | None = None, where: str = "policy") -> dict[str, Policy]:
    """The base (default: the shipped defaults) with overrides. ``where`` names the option or file. Raises BadInput that names the key."""
    merged = {risk: dict(values) for risk, values in (base or DEFAULTS).items()}
    if not isinstance(overrides or {}, Mapping):
        raise BadInput(f"{where} is not a mapping.", f"Write settings below the classes {', '.join(RISKS)}.")
    for risk, values in (overrides or {}).items():
        if risk not in merged or not isinstance(values, Mapping):
            raise BadInput(f"{where}.{risk} is not a risk class with settings.", f"The classes are {', '.join(RISKS)}.")
        for key, value in values.items():
            merged[risk][key] = _checked(f"{where}.{risk}.{key}", key, value)
        one = merged[risk]
        if one["proof"] == "signature" and one["approver_groups"]:
            raise BadInput(
                f"{where}.{risk}.approver_groups cannot be judged with proof signature: a signer has no groups.",
                "Name the principals of allowed_signers in approvers.",
            )
    return merged


def frozen(settings: Mapping[str, Any], moment: datetime) -> str:
    """Why nothing may be done at this moment, as a sentence without its full stop; "" outside every freeze window."""
    for window in settings.get("freeze", []):
        end = _end_of(window, moment)
        if end:
            reason = f" ({window['reason']})" if window.get("reason") else ""
            return f"changes of this risk class are frozen until {clock.stamp(end)}{reason}"
    return ""


def rules_of(settings: Mapping[str, Any]) -> list[str]:
    """What a policy asks for, in words, for the approver."""
    settings = {**DEFAULTS["medium"], **settings}
    named = allowed(settings)
    return [
        f"decision due within {_span(settings['sla_minutes'])}, approval valid for {_span(settings['approval_minutes'])}",
        *(["four eyes: somebody else than who proposed it"] if settings["four_eyes"] else []),
        *([_PROOF_WORDS[settings["proof"]]] if settings["proof"] in _PROOF_WORDS else []),
        *([f"approvers: {', '.join(named)}"] if named else []),
        *(f"frozen: {describe(window)}" for window in settings["freeze"]),
    ]


def allowed(settings: Mapping[str, Any]) -> list[str]:
    """Who may approve, in words; empty where that is everyone who can write the records."""
    return [*settings["approvers"], *(f"group {name}" for name in settings["approver_groups"])]


def describe(window: Mapping[str, Any]) -> str:
    """A freeze window in words."""
    text = (
        f"{window['from']} to {window['until']}" if "from" in window else f"{window['hours']} h from {window['rrule']} ({window['timezone']})"
    )
    return f"{text}: {window['reason']}" if window.get("reason") else text


def _span(minutes: int) -> str:
    return clock.span(minutes * 60)


def _checked(where: str, key: str, value: Any) -> Any:
    setting = SETTINGS.get(key)
    if setting is None:
        raise BadInput(f"{where} is not a setting.", f"The settings are {', '.join(SETTINGS)}.")
    if key == "freeze" and isinstance(value, list):
        value = [_plain(one) for one in value]
    fault = setting.fault(value)
    if fault:
        raise BadInput(f"{where} is {value!r}; {fault}.", f"It says {setting.meaning}.")
    return value


def _plain(window: Any) -> Any:
    """A window as JSON can hold it: YAML reads times as dates."""
    if not isinstance(window, Mapping):
        return window
    plain = {str(key): value for key, value in window.items()}
    for key in ("from", "until"):
        if isinstance(plain.get(key), datetime):
            plain[key] = clock.stamp(plain[key] if plain[key].tzinfo else plain[key].replace(tzinfo=timezone.utc))
        elif isinstance(plain.get(key), date):
            plain[key] = clock.stamp(datetime.combine(plain[key], time(), timezone.utc))
    if "rrule" in plain:
        plain.setdefault("timezone", "UTC")
    return plain


def _window_fault(window: Any) -> str:
    if not isinstance(window, Mapping):
        return "it must be a mapping with from and until, or with rrule and hours"
    unknown = [key for key in window if key not in _WINDOW_KEYS]
    if unknown:
        return f"{', '.join(unknown)} is unknown; the keys are {', '.join(_WINDOW_KEYS)}"
    if not isinstance(window.get("reason", ""), str):
        return "reason must be text"
    if set(window) - {"reason"} == {"from", "until"}:
        try:
            ends = [clock.parse(str(window[key])) for key in ("from", "until")]
        except ValueError:
            return "from and until must be times such as 2026-12-20T00:00:00Z"
        if not all(one.tzinfo for one in ends):
            return "from and until need a time zone, such as 2026-12-20T00:00:00Z"
        return "" if ends[0] < ends[1] else "until must be later than from"
    if set(window) - {"reason"} == {"rrule", "hours", "timezone"}:
        hours = window["hours"]
        if isinstance(hours, bool) or not isinstance(hours, (int, float)) or not 0 < hours <= 24 * 366:
            return "hours must be a number above 0"
        if library("dateutil.tz").gettz(str(window["timezone"])) is None:
            return f"the time zone {window['timezone']} is unknown"
        try:
            _rule(window)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return f"rrule {window['rrule']!r} is not a recurrence rule of RFC 5545: {error}"
        return ""
    return "it needs from and until, or rrule and hours (and timezone)"


def _rule(window: Mapping[str, Any]) -> Any:
    zone = library("dateutil.tz").gettz(str(window["timezone"]))
    return library("dateutil.rrule").rrulestr(str(window["rrule"]), dtstart=_RULE_START.replace(tzinfo=zone), cache=False)


def _end_of(window: Mapping[str, Any], moment: datetime) -> datetime | None:
    """When the window ends that holds the moment; None outside."""
    if "from" in window:
        start, end = clock.parse(window["from"]), clock.parse(window["until"])
        return end if start <= moment < end else None
    begun: datetime | None = _rule(window).before(moment, inc=True)
    if begun is None:
        return None
    end = begun + timedelta(hours=window["hours"])
    return end if moment < end else None
