# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the API server answers when it refuses to create a pod, and what each answer means: a table of patterns and explanations.

An explanation names what was asked, what forbids it and where that stands. It never proposes to weaken a policy.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Callable

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import webhooks
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.webhooks import Asked, Refusal


def explain(view: View, item: Object, template: Object, message: str) -> Refusal | None:
    """The meaning of an answer; None where it is no failure (the namespace is going, the old pod is not gone yet)."""
    if any(words in message for words in _PASSING):
        return None
    asked = Asked(view, item, template, message)
    return next((explanation(asked, match) for pattern, explanation in _ANSWERS if (match := pattern.search(message))), None) or _other(
        asked
    )


def _quota(asked: Asked, match: re.Match[str]) -> Refusal:
    name = match["name"].strip()
    wanted, used, limited = (_pairs(match[one]) for one in ("wanted", "used", "limited"))
    parts, never = [], []
    for resource, value in wanted.items():
        limit = limited.get(resource, "?")
        if fit.size(value) > fit.size(limit):
            never.append(resource)
        parts.append(f"{resource}: {used.get(resource, '0')} of {limit} are used, and {value} more is asked for")
    holders = _holders(asked.view, asked.namespace, list(wanted))
    cause = f"ResourceQuota {name} of namespace {asked.namespace} leaves no room ({'; '.join(parts)})."
    if never:
        cause += f" The request alone is larger than the whole quota of {', '.join(never)}."
    elif holders:
        cause += f" Most is held by {holders}."
    what = ", ".join(wanted)
    fix = (
        f"Lower what the pods ask for ({what}) or the number of replicas, free what other workloads of the namespace do not need, or"
        f" have the owner of ResourceQuota {name} raise it."
    )
    details = {"quota": name, "requested": wanted, "used": used, "limited": limited, "alone": never}
    return Refusal("QuotaExceeded", f"ResourceQuota {name} is used up ({what})", cause, fix, details)


def _pairs(listed: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, mark, value in (one.partition("=") for one in listed.split(",")) if mark}


def _holders(view: View, namespace: str, resources: list[str]) -> str:
    resource = resources[0].removeprefix("requests.") if resources else ""
    held: dict[str, float] = {}
    for pod in view.inside("pods", namespace):
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            top = view.workload(pod)
            key = f"{top['kind'].lower()}/{top['metadata']['name']}"
            held[key] = held.get(key, 0.0) + (1.0 if resource in ("pods", "count/pods") else fit.requests(pod).get(resource, 0.0))
    ranked = sorted(((value, key) for key, value in held.items() if value), key=lambda one: (-one[0], one[1]))
    return ", ".join(f"{key} ({fit.text(resource, value)})" for value, key in ranked[:3])


def quota_used_up(view: View, namespace: str) -> Refusal | None:
    """A quota on the number of pods that is full, where the answer itself has expired."""
    for quota in view.inside("resourcequotas", namespace):
        status = quota.get("status") or {}
        for resource in ("pods", "count/pods"):
            limit, used = (status.get("hard") or {}).get(resource), (status.get("used") or {}).get(resource)
            if limit is None or used is None or fit.size(used) < fit.size(limit):
                continue
            name = quota["metadata"]["name"]
            text = f"exceeded quota: {name}, requested: {resource}=1, used: {resource}={used}, limited: {resource}={limit}"
            refusal = explain(view, quota, {}, text)
            return replace(refusal, proof=f"ResourceQuota {name}: {resource} {used} of {limit}") if refusal else None
    return None


def _must_specify(asked: Asked, match: re.Match[str]) -> Refusal:
    name, what = match["name"], match["what"].strip().rstrip(".")
    cause = (
        f"ResourceQuota {name} of namespace {asked.namespace} counts these values, so every pod must state them, and this one does not:"
        f" {what}."
    )
    fix = f"State {what} under resources in the pod template, or let a LimitRange of the namespace give defaults."
    title = f"ResourceQuota {name} asks for values that the pod does not state: {what}"
    return Refusal("QuotaRequiresLimits", title, cause, fix, {"quota": name, "missing": what})


def _scopes(asked: Asked, match: re.Match[str]) -> Refusal:
    scopes = match["scopes"].strip()
    cause = f"The cluster asks for a ResourceQuota that matches the pod's scopes {scopes}, and namespace {asked.namespace} has none."
    fix = f"Correct priorityClassName in the pod template, or have a ResourceQuota for {scopes} made."
    return Refusal("QuotaExceeded", "no ResourceQuota matches the pod's scopes", cause, fix)


def _limit_range(asked: Asked, _match: re.Match[str]) -> Refusal:
    parts, details = [], []
    for one in _LIMIT.finditer(asked.message):
        resource, bound, given = one["resource"] or one["ratio"], one["bound"], one["given"] or "not stated"
        given = given.removesuffix("0" * 6).rstrip(".") if one["ratio"] else given
        kind = one["kind"] or "limit/request ratio"
        named = one["field"] or ("limit/request ratio" if one["ratio"] else "limit")
        who = _who_asks(asked, resource, f"{named}s", given) if one["scope"] == "Container" and one["field"] else ""
        if one["ratio"] and one["scope"] == "Container":
            who = _who_spreads(asked, resource, given)
            kind = "maximum limit/request ratio"
        states = f"{f'container {who} has the' if who else 'the'} {named} {given}" if one["given"] else f"the pod states no {named}"
        parts.append(f"{kind} {resource} per {one['scope']} is {bound}, but {states}")
        details.append({"kind": kind, "resource": resource, "scope": one["scope"], "bound": bound, "given": given, "container": who})
    names = ", ".join(one["metadata"]["name"] for one in asked.view.inside("limitranges", asked.namespace))
    which = f"LimitRange {names}" if names else "A LimitRange"
    said = "; ".join(parts)
    cause = f"{which} of namespace {asked.namespace} forbids the pod's resources: {said}."
    fix = (
        f"Set the values in the pod template within the bounds ({said}), or have the owner of {which if names else 'the LimitRange'} change"
        " them."
    )
    return Refusal("LimitRangeViolated", f"{which} forbids the pod: {said}"[:200], cause, fix, {"violations": details})


def _who_asks(asked: Asked, resource: str, where: str, given: str) -> str:
    named = [
        one["name"]
        for one in asked.containers
        if fit.size(((one.get("resources") or {}).get(where) or {}).get(resource)) == fit.size(given)
    ]
    return str(named[0]) if len(named) == 1 else ""


def _who_spreads(asked: Asked, resource: str, ratio: str) -> str:
    """The container whose limit is that many times its request."""
    found = []
    for one in asked.containers:
        stated = one.get("resources") or {}
        limit, request = (fit.size((stated.get(which) or {}).get(resource)) for which in ("limits", "requests"))
        if limit and request and f"{limit / request:.6f}" == f"{float(ratio):.6f}":
            found.append(str(one["name"]))
    return found[0] if len(found) == 1 else ""


# what a violation of a Pod Security level is called -> what to set
_SECURITY_FIXES = (
    ("allowPrivilegeEscalation", "securityContext.allowPrivilegeEscalation: false on each container"),
    ("unrestricted capabilities", 'securityContext.capabilities.drop: ["ALL"] on each container (only NET_BIND_SERVICE may be added)'),
    ("non-default capabilities", "remove the added capabilities"),
    ("runAsNonRoot", "securityContext.runAsNonRoot: true (and an image or runAsUser that is not root)"),
    ("runAsUser", "a runAsUser other than 0"),
    ("seccompProfile", "securityContext.seccompProfile.type: RuntimeDefault"),
    ("privileged", "remove securityContext.privileged"),
    ("host namespaces", "remove hostNetwork, hostPID and hostIPC"),
    ("hostPort", "remove hostPort and use a Service"),
    ("hostPath", "replace hostPath volumes by a PersistentVolumeClaim, ConfigMap or emptyDir"),
    (
        "restricted volume types",
        "use only ConfigMap, Secret, emptyDir, projected, downwardAPI, CSI, ephemeral or PersistentVolumeClaim volumes",
    ),
    ("procMount", "remove procMount"),
    ("seLinuxOptions", "remove the SELinux user, role or type"),
    ("sysctls", "remove the unsafe sysctls"),
    ("AppArmor", "use the AppArmor profile RuntimeDefault"),
    ("hostProcess", "remove windowsOptions.hostProcess"),
    ("probe or lifecycle host", "remove host from probes and lifecycle hooks"),
)


def _pod_security(asked: Asked, match: re.Match[str]) -> Refusal:
    level, said = match["level"], match["said"].strip().rstrip(".")
    violations = [one.strip() for one in re.split(r", (?![^()]*\))", said)]
    heads = [one.partition("(")[0].strip() for one in violations]
    fixes = [fix for words, fix in _SECURITY_FIXES if any(words in head for head in heads)]
    cause = (
        f"Namespace {asked.namespace} enforces the Pod Security level {level}, and the pod template violates it: {'; '.join(violations)}."
    )
    fix = f"Make the pod template meet the level: {'; '.join(fixes) or said}. Keep the level as it is."
    return Refusal(
        "PodSecurityViolation",
        f"the pod violates the Pod Security level {level}: {', '.join(heads)}",
        cause,
        fix,
        {"level": level, "violations": violations},
    )


def _security_policy(asked: Asked, match: re.Match[str]) -> Refusal:
    cause = f"A security policy of the cluster admits no pod like this one: {asked.message[match.start():][:300]}."
    return Refusal(
        "PodSecurityViolation",
        "a security policy of the cluster forbids the pod",
        cause,
        "Make the pod template meet the policy that the message names; keep the policy as it is.",
    )


def _denied(asked: Asked, match: re.Match[str]) -> Refusal:
    name, why = match["name"], (match["why"] or "").strip().rstrip(".") or "it gives no reason"
    cause = f"Admission webhook {name} denied the request: {why[:400]}."
    fix = f"Change the pod template so that it meets what {name} asks for ({why[:200]}), or ask the owner of that policy."
    return Refusal(
        "AdmissionDenied", f"admission webhook {name} denies the pod: {why[:120]}", cause, fix, {"webhook": name, "message": why}
    )


def _policy(asked: Asked, match: re.Match[str]) -> Refusal:
    name, why = match["name"], match["why"].strip().rstrip(".")
    cause = f"{match['kind']} {name} (binding {match['binding']}) denied the request: {why[:400]}."
    fix = f"Change the pod template so that it meets the policy {name}: {why[:200]}."
    return Refusal("AdmissionDenied", f"policy {name} denies the pod: {why[:120]}", cause, fix, {"policy": name, "message": why})


def _account(asked: Asked, match: re.Match[str]) -> Refusal:
    return missing_account(asked.view, asked.namespace, match["name"])


def missing_account(view: View, namespace: str, name: str) -> Refusal:
    near = nearest(name, (one["metadata"]["name"] for one in view.inside("serviceaccounts", namespace)))
    cause = (
        f"The pod template names the ServiceAccount {name}, which does not exist in namespace"
        f" {namespace}{f' (there is {near})' if near else ''}."
    )
    fix = (
        f"Correct serviceAccountName to {near}."
        if near
        else (
            f"Create the ServiceAccount: kubectl -n {namespace} create serviceaccount {name} (with the roles it needs), or correct"
            " serviceAccountName in the pod template."
        )
    )
    return Refusal(
        "ServiceAccountMissing",
        f"ServiceAccount {name} does not exist",
        cause,
        fix,
        {"account": name, "near": near},
        f"serviceaccount {name} is not in namespace {namespace}",
    )


def _priority(asked: Asked, match: re.Match[str]) -> Refusal:
    return missing_priority(asked.view, match["name"])


def missing_priority(view: View, name: str) -> Refusal:
    known = [one["metadata"]["name"] for one in view.objects.get("priorityclasses", [])]
    near = nearest(name, known)
    cause = (
        f"The pod template names the PriorityClass {name}, which does not"
        f" exist{f' (there is {near})' if near else f' (there are {fit.listed(known, 5)})' if known else ''}."
    )
    fix = f"Correct priorityClassName{f' to {near}' if near else ''} in the pod template, remove it, or create the PriorityClass {name}."
    return Refusal(
        "PriorityClassMissing",
        f"PriorityClass {name} does not exist",
        cause,
        fix,
        {"priority": name, "near": near},
        f"priorityclass {name} does not exist",
    )


def _runtime(asked: Asked, match: re.Match[str]) -> Refusal:
    name = match["name"]
    cause = f"The pod template names the RuntimeClass {name}, which does not exist in the cluster."
    return Refusal(
        "PodsNotCreated",
        f"RuntimeClass {name} does not exist",
        cause,
        f"Correct or remove runtimeClassName in the pod template, or install the runtime and its RuntimeClass {name}.",
        {"runtime": name},
    )


def _invalid(asked: Asked, match: re.Match[str]) -> Refusal:
    said = match["said"].strip().rstrip(".")
    ranges = asked.view.inside("limitranges", asked.namespace)
    defaults = any(
        (limit.get("default") or limit.get("defaultRequest")) for one in ranges for limit in (one.get("spec") or {}).get("limits") or []
    )
    if "must be less than or equal to" in said and defaults:
        names = ", ".join(one["metadata"]["name"] for one in ranges)
        cause = f"LimitRange {names} of namespace {asked.namespace} fills in defaults that do not fit what the pod states: {said[:400]}."
        return Refusal(
            "LimitRangeViolated",
            f"the defaults of LimitRange {names} do not fit the pod's requests",
            cause,
            "State requests and limits together in the pod template, requests not above limits.",
        )
    cause = f"The pod that the template makes is not valid: {said[:400]}."
    return Refusal(
        "PodsNotCreated",
        f"the pod template is not valid: {said[:140]}",
        cause,
        f"Correct this in the pod template: {said[:200]}.",
        {"invalid": said},
    )


def _no_right(asked: Asked, match: re.Match[str]) -> Refusal:
    cause = f"{match['user']} may not create {match['what']}: {asked.message[:300]}."
    return Refusal(
        "PodsNotCreated",
        f"{match['user']} may not create {match['what']}",
        cause,
        "Restore the built-in roles of the cluster's controllers.",
    )


def _other(asked: Asked) -> Refusal:
    said = asked.message.strip().rstrip(".")
    return Refusal(
        "PodsNotCreated",
        f"the API server refuses: {said[:140]}",
        f"The API server's answer was: {said[:400]}.",
        "Correct what the answer names.",
    )


_PASSING = ("because it is being terminated", "object is being deleted", "already exists", "the object has been modified")
_QUOTA = re.compile(r"exceeded quota: (?P<name>[^,]+), requested: (?P<wanted>.*?), used: (?P<used>.*?), limited: (?P<limited>[^\s\]]*)")
_LIMIT = re.compile(
    r"(?:(?P<kind>maximum|minimum) (?P<resource>\S+) usage|(?P<ratio>\S+) max limit to request ratio) per (?P<scope>\w+) is"
    r" (?P<bound>[^\s,]+?)[,.]"
    r" (?:but (?:(?P<field>limit|request) is |provided ratio is )(?P<given>[^\s,\]]+)|(?:but )?[Nn]o (?:limit|request) is specified)"
)
_ANSWERS: tuple[tuple[re.Pattern[str], Callable[[Asked, re.Match[str]], Refusal]], ...] = (
    (re.compile(r'failed calling webhook "(?P<name>[^"]+)"'), webhooks.unavailable),
    (
        re.compile(
            r'admission webhook "(?P<name>[^"]+)" (?:denied|rejected) the request(?: without explanation|: (?P<why>.*))?', re.DOTALL
        ),
        _denied,
    ),
    (
        re.compile(
            r"(?P<kind>\w*AdmissionPolicy) '(?P<name>[^']+)' with binding '(?P<binding>[^']+)' denied request: (?P<why>.*)", re.DOTALL
        ),
        _policy,
    ),
    (_QUOTA, _quota),
    (re.compile(r"insufficient quota to match these scopes: (?P<scopes>.*)"), _scopes),
    (re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.*)"), _must_specify),
    (re.compile(r'violates PodSecurity "(?P<level>[^":]+)[^"]*": (?P<said>.*)', re.DOTALL), _pod_security),
    (
        re.compile(
            r"unable to validate against any (?:security context constraint|pod security policy)|PodSecurityPolicy: unable to admit"
        ),
        _security_policy,
    ),
    (_LIMIT, _limit_range),
    (re.compile(r'serviceaccounts? "(?P<name>[^"]+)" not found'), _account),
    (re.compile(r"no PriorityClass with name (?P<name>\S+) was found"), _priority),
    (re.compile(r'(?i)runtimeclass(?:es)?(?:\.node\.k8s\.io)? "(?P<name>[^"]+)" not found'), _runtime),
    (re.compile(r"[Uu]ser \"(?P<user>[^\"]+)\" cannot create resource \"(?P<what>[^\"]+)\""), _no_right),
    (re.compile(r"is invalid: (?P<said>.*)", re.DOTALL), _invalid),
)
