# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which ports a pod serves: those that its containers declare, and those that command, environment and log prove.

A containerPort is only informational in Kubernetes, so a Service's target port is judged wrong on proof alone:

    missed(view, service, port, pods) -> Missed(serves, fix, why) | None
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import likeness, pod_containers
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_ADDRESS = r"(?:[\w.*\[\]:-]*:)?(?P<port>\d{2,5})\b"
_LISTENS = (
    re.compile(rf"\b(?:httpd|uhttpd|nc|ncat|netcat|flask|rails|http-server|puma|caddy)\b[^;|&\n]*?\s-[a-zA-Z]*p[ =]?{_ADDRESS}"),
    re.compile(rf"(?<![\w-])--?(?:(?:http|listen|listening|server|web)[-.])?port[= ]{_ADDRESS}"),
    re.compile(
        r"(?<![\w-])--?(?:(?:http|web|server|listen|bind)[-.])*(?:listen|bind|addr|address|listen-addr|listen-address|bind-address)[= ]"
        r"[\w.*\[\]:/-]*:(?P<port>\d{2,5})\b"
    ),
    re.compile(r"\b(?:gunicorn|hypercorn|granian)\b[^;|&\n]*?\s-b[ =]?\S*:(?P<port>\d{2,5})\b"),
    re.compile(rf"-m (?:http\.server|SimpleHTTPServer) {_ADDRESS}"),
    re.compile(rf"\b(?:runserver|php -S|serve -l) {_ADDRESS}"),
    re.compile(r"(?i)\bTCP4?6?-LISTEN:(?P<port>\d{2,5})\b"),
)
_LISTENS_ENVIRONMENT = re.compile(
    r"^(?:HTTP_|SERVER_|LISTEN_|APP_|WEB_)?PORT$|^(?:LISTEN|BIND|HTTP|SERVER)_ADDR(?:ESS)?$|^ASPNETCORE_(?:URLS|HTTP_PORTS)$"
)
_LISTENS_LOG = re.compile(
    r"(?i)\b(?:listening|listens|serving|server (?:is )?(?:running|started|up)|started (?:server )?|running|bound)\b[^\n]{0,60}?"
    r"(?:\bport[: =]+|[\w.\]*]*:)(?P<port>\d{2,5})\b"
)
_ASIDE = re.compile(r"(?i)metric|prom|health|probe|admin|debug|status|mgmt|management|monitor|stats")  # not what a Service is for


class Missed(NamedTuple):
    """``serves``: the ports that the pods serve; ``fix``: the one that is meant, None where several may be; ``why``: a sentence."""

    serves: list[Any]
    fix: Any
    why: str


def missed(view: View, port: Object, pods: list[Object]) -> Missed | None:
    """Why a Service's port leads nowhere in any of these ready pods; None where it does, or may."""
    one_of_each = {
        (pod["metadata"].get("ownerReferences") or [pod["metadata"]])[0]["uid"]: pod for pod in pods
    }  # replicas have the same ports
    verdicts = [_missed(view, port, pod) for pod in one_of_each.values()]
    return verdicts[0] if verdicts and all(verdicts) else None


def part_missed(view: View, port: Object, pods: list[Object]) -> tuple[Object, Missed] | None:
    """(a pod, why) of the workload among several behind a Service that does not serve its port, where another one surely does."""
    of_workload = {view.workload(pod)["metadata"]["uid"]: pod for pod in pods}
    missing = [(pod, why) for pod in of_workload.values() if (why := _missed(view, port, pod))]
    if len(missing) != 1 or not any(_serves(view, port, pod) for pod in of_workload.values()):
        return None
    return missing[0]


def _serves(view: View, port: Object, pod: Object) -> bool:
    wanted, has = target(port), declared(pod, port.get("protocol", "TCP"))
    if isinstance(wanted, str) and not wanted.isdigit():
        return wanted in has.values()
    return int(wanted) in has or int(wanted) in listens(view, pod) or int(wanted) in _probed(pod)


def is_aside(name: str) -> bool:
    """Whether a port or Service is, by its name, for something else than what the application is for: metrics, health, administration."""
    return bool(_ASIDE.search(name))


def target(port: Object) -> Any:
    """The target port as it stands; the Service's own port where none does."""
    return port.get("targetPort") or port["port"]


def declared(pod: Object, protocol: str = "TCP") -> dict[int, str]:
    """containerPort -> its name ("" where it has none)."""
    return {
        int(one["containerPort"]): one.get("name", "")
        for container in pod_containers(pod)
        for one in container.get("ports") or []
        if one.get("protocol", "TCP") == protocol
    }


def listens(view: View, pod: Object) -> set[int]:
    """The TCP ports on which a pod's own words say that it listens: its commands, environment and logs."""
    found = set()
    for container in pod_containers(pod):
        command = command_of(container)
        found |= {int(match["port"]) for pattern in _LISTENS for match in pattern.finditer(command)}
        for variable in container.get("env") or []:
            if _LISTENS_ENVIRONMENT.match(variable.get("name", "")):
                found |= {int(number) for number in re.findall(r"(?:^|:)(\d{2,5})\b", str(variable.get("value") or ""))}
        log = view.logs(pod, container["name"]).get("current") or ""
        found |= {int(match["port"]) for match in _LISTENS_LOG.finditer(log)}
    return {number for number in found if number < 65536}


def _missed(view: View, port: Object, pod: Object) -> Missed | None:
    wanted, protocol = target(port), port.get("protocol", "TCP")
    has = declared(pod, protocol)
    if isinstance(wanted, str) and not wanted.isdigit():
        return _name_missed(view, port, wanted, has, pod, protocol)
    number = int(wanted)
    if protocol != "TCP" or _is_mentioned(pod, number):
        return None
    proven = listens(view, pod)
    alone = len(pod_containers(pod)) == 1
    if number in proven or (number in has and (proven <= has.keys() or _ASIDE.search(has[number]))):
        return None  # one more port, declared beside the one that the command speaks of
    if proven and (alone or number not in has and _all_declare(pod)):
        fix = next(iter(proven)) if len(proven) == 1 else None
        return Missed(sorted(proven), fix, f"{_words(proven)} what its command, environment or log says that it listens on")
    main = {one: name for one, name in has.items() if not _ASIDE.search(name)}
    if number in has or not main or not _all_declare(pod):
        return None
    return Missed(sorted(main), _fix(port, main), f"{_words(main)} what its containers declare")


def _name_missed(view: View, port: Object, wanted: str, has: dict[int, str], pod: Object, protocol: str) -> Missed | None:
    if wanted in has.values():
        return None
    other = "UDP" if protocol == "TCP" else "TCP"
    if wanted in declared(pod, other).values():
        return Missed(sorted(has), None, f"the port {wanted} is declared for {other}, and the Service says {protocol}")
    names = ", ".join(f"{name} ({number})" if name else f"{number} (without a name)" for number, name in sorted(has.items()))
    proven = listens(view, pod)
    alike = [number for number, name in has.items() if likeness(wanted, name) >= 0.7]
    fix = alike[0] if len(alike) == 1 else _fix(port, has) if has else next(iter(proven)) if len(proven) == 1 else None
    return Missed(sorted(has or proven), has.get(fix) or fix if fix else None, f"its containers declare {names or 'no port at all'}")


def _fix(port: Object, main: dict[int, str]) -> int | None:
    if len(main) == 1:
        return next(iter(main))
    if port["port"] in main:
        return int(port["port"])
    same = [number for number, name in main.items() if name and name == port.get("name")]
    return same[0] if len(same) == 1 else None


def _all_declare(pod: Object) -> bool:
    return all(container.get("ports") for container in (pod.get("spec") or {}).get("containers") or [])


def _is_mentioned(pod: Object, number: int) -> bool:
    """Whether a port's number stands in a command, a probe or the environment: then it may well be served."""
    if number in _probed(pod):
        return True
    word = re.compile(rf"(?<![\d.]){number}(?![\d.]*\d)")
    return any(
        word.search(text)
        for container in pod_containers(pod)
        for text in (
            *(container.get("command") or []),
            *(container.get("args") or []),
            *(str(one.get("value") or "") for one in container.get("env") or []),
        )
    )


def _probed(pod: Object) -> set[Any]:
    """The ports that network probes ask, as numbers or names."""
    return {
        (probe.get(how) or {}).get("port")
        for container in pod_containers(pod)
        for probe in (container.get(f"{kind}Probe") or {} for kind in ("readiness", "liveness", "startup"))
        for how in ("httpGet", "tcpSocket", "grpc")
    } - {None}


def _words(numbers: Any) -> str:
    listed = sorted(numbers)
    return f"{listed[0]} is" if len(listed) == 1 else f"{', '.join(map(str, listed))} are"
