# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Renders a runbook for every finding code, and the index of all runbooks: ``make runbooks``. The text is in the YAML files beside this one.

One file for each area of plugins/module_utils/diagnosis/catalogue.py, {code: fields}; docs/runbooks/template-runbook.md says what the fields
are. What the playbook proposes is not written by hand: it follows from plugins/module_utils/diagnosis/remedy/table.py. A new code needs an
entry in the catalogue and one here; a test says which is missing. ``python render.py --check`` changes nothing, and fails where a rendered
file is not what is in the repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES, runbook
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import (
    memory,
    placing,
    pods,
    probe,
    references,
    revisions,
    service,
    table,
)
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
INDEX = ROOT / "docs" / "runbooks" / "README.md"

NEEDED = ("shows", "symptoms", "look", "decide", "fix", "escalate")
OPTIONAL = ("fix_note", "undo", "undo_note", "afterwards", "severity", "practise")
# variable -> (example, what it is). Those that the commands of a code use are assigned at the head of its runbook.
VARIABLES = {
    "NS": ("shop", "namespace"),
    "WORKLOAD": ("deployment/web", "or statefulset/..., daemonset/..."),
    "POD": ("web-5bdb8db7cc-zcxwr", "a pod that fails, from: kubectl -n shop get pods"),
    "CONTAINER": ("web", "its container that the finding names"),
    "NODE": ("node-1", "the node that the finding names"),
    "IMAGE": ("registry.example.com/shop/web:1.4.2", "an image that you know exists"),
    "CONFIGMAP": ("web-settings", "the ConfigMap that the finding names"),
    "SECRET": ("web-keys", "the Secret that the finding names"),
    "KEY": ("log-level", "the key that the finding names"),
    "CLAIM": ("data", "the PersistentVolumeClaim that the finding names"),
    "VOLUME": ("pvc-2b6f3c1e", "its PersistentVolume, from: kubectl -n shop get pvc"),
    "SERVICE": ("db", "the Service that the finding names"),
    "INGRESS": ("web", "the Ingress that the finding names"),
    "AUTOSCALER": ("web", "the HorizontalPodAutoscaler that the finding names"),
    "JOB": ("report-29402580", "the Job that the finding names"),
    "CRONJOB": ("report", "the CronJob that the finding names"),
    "ACCOUNT": ("web", "the service account that the finding names"),
    "WEBHOOK": ("policy.example.com", "the webhook configuration that the finding names"),
    "OBJECT": ("pod/web-0", "the object that does not go, kind/name"),
}
_THAT = "the last revision that worked"
# proposer -> what it proposes, in the order of the table
PROPOSES: dict[Any, str] = {
    revisions.undo_rollout: (
        f"return to the pod template of {_THAT}, when only pods of the newest revision fail and the cluster still holds an earlier one that"
        " has ready pods (or whose pods the rollout had to stop first)"
    ),
    revisions.restore_image: f"take only the image of the failing container from {_THAT}",
    revisions.restore_command: f"take only `command` and `args` of the failing container from {_THAT}",
    revisions.restore_directory: f"take only `workingDir` of the failing container from {_THAT}",
    revisions.restore_probes: f"take only the probes of the failing container from {_THAT}",
    revisions.restore_hooks: f"take only the lifecycle hooks of the failing container from {_THAT}",
    revisions.restore_environment: f"take only `env`, `envFrom` and `volumeMounts` of the failing container from {_THAT}",
    revisions.restore_resources: f"take only requests and limits of the failing container from {_THAT}",
    memory.raise_memory_limit: (
        "raise the memory limit by one step: twice below 1 GiB, half as much again from there on, within `memory_limit_max` (8Gi), the"
        " LimitRange, the quota and the largest node. A request that equals the limit goes with it"
    ),
    pods.restart_pod: (
        "delete the crashed pods so that they start at once, when the log names a Service of the cluster that has become ready since the"
        " last crash"
    ),
    pods.delete_leftovers: "delete failed pods that their controller has replaced",
    references.mark_optional: f"mark the reference to the ConfigMap `optional`, when {_THAT} did without it",
    references.correct_reference: "refer to the ConfigMap, or the key of it, that exists and is nearly called the same; never for a Secret",
    placing.lower_request: (
        "lower a CPU or memory request that not even an empty node could grant, to half of what the roomiest node has free"
    ),
    placing.correct_node_selector: "correct a nodeSelector whose key or value is nearly that of a label that nodes have",
    probe.correct_port: "let the probe ask the only port that the container declares, or the one that its other probe asks",
    probe.correct_path: "let the probe ask the path that another probe of the container asks successfully on the same port",
    probe.more_time: "double the time of a startup probe (to at most 900 s), or the timeout of a probe (to at most 10 s)",
    probe.startup_first: "add a startup probe of 300 s that asks the same, when the liveness probe kills the container before it is up",
    service.correct_selector: "correct the selector of the Service, when the pods that it means are clear from their labels",
    service.correct_target_port: "correct the target port of the Service, when its pods declare exactly one that fits",
}
_NEVER = {("SecretMissing", references.correct_reference)}  # in the table for the reason that it gives


def entries() -> dict[str, dict[str, Any]]:
    """{code: its fields}, in the order of the catalogue. Raises ValueError for a code or field that is not known, missing or misplaced."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(HERE.glob("*.yml")):
        for code, fields in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            if code not in CODES or CODES[code].area != path.stem:
                raise ValueError(f"{path.name}: {code} is not a code of the area {path.stem}")
            wrong = [name for name in fields if name not in NEEDED + OPTIONAL] + [name for name in NEEDED if not fields.get(name)]
            if wrong:
                raise ValueError(f"{path.name}: {code} lacks these fields, or they are not known: {', '.join(wrong)}")
            found[code] = {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}
    missing = [code for code in CODES if code not in found]
    if missing:
        raise ValueError(f"no text for {', '.join(missing)}")
    return {code: found[code] for code in CODES}


def proposals(code: str) -> list[str]:
    """What the playbook may propose for a code, best first; empty where it only advises."""
    wanted = [one for one in table.PROPOSERS.get(code, ()) if (code, one) not in _NEVER]
    unknown = [one for one in wanted if one not in PROPOSES]
    if unknown:
        raise ValueError(f"{code}: say in PROPOSES of {Path(__file__).name} what {unknown[0].__module__}.{unknown[0].__name__} proposes")
    return [PROPOSES[one] for one in wanted]


def used(fields: dict[str, Any]) -> list[str]:
    """The variables that the commands of a code use. Raises ValueError for one that VARIABLES does not know."""
    commands = "\n".join(fields.get(name, "") for name in ("look", "fix", "undo"))
    names = set(re.findall(r"\$\{?([A-Z][A-Z_]*)", commands))
    if names - set(VARIABLES):
        raise ValueError(f"say in VARIABLES what {', '.join(sorted(names - set(VARIABLES)))} is")
    if "WORKLOAD" not in names and not (fields.get("undo") or fields.get("undo_note")):
        raise ValueError("undo or undo_note is needed, where no workload is changed that could be rolled back")
    return [name for name in VARIABLES if name in names]


def rendered() -> dict[Path, str]:
    """{path: text} of every runbook and of the index."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    template, texts = environment.get_template("runbook.md.j2"), entries()
    found = {ROOT / runbook(code): template.render(_words(code, fields)) for code, fields in texts.items()}
    shows: dict[str, list[str]] = {}
    for code, fields in texts.items():
        for symptom in fields["shows"]:
            shows.setdefault(symptom, []).append(code)
    areas = {area: [code for code in CODES if CODES[code].area == area] for area in dict.fromkeys(one.area for one in CODES.values())}
    words = {"shows": shows, "areas": areas, "codes": CODES, "file": lambda code: Path(runbook(code)).name}
    found[INDEX] = environment.get_template("index.md.j2").render(words)
    return found


def _words(code: str, fields: dict[str, Any]) -> dict[str, Any]:
    names = used(fields)
    width = max((len(f"{name}={VARIABLES[name][0]}") for name in names), default=0)
    target = " -e target_namespace=$NS" if "NS" in names else ""
    kinds = {"WORKLOAD": "$WORKLOAD", "JOB": "job/$JOB", "CRONJOB": "cronjob/$CRONJOB"}
    workload = next((f" -e workload={text}" for name, text in kinds.items() if name in names and target), "")
    return {
        **dict.fromkeys(OPTIONAL, ""),
        **fields,
        "code": code,
        "area": CODES[code].area,
        "means": CODES[code].means,
        "proposals": proposals(code),
        "reason": table.ADVICE_ONLY.get(code, "no change follows from the facts alone; a person has to decide"),
        "variables": "\n".join(f"{f'{name}={VARIABLES[name][0]}':<{width}}  # {VARIABLES[name][1]}" for name in names),
        "names": names,
        "target": target,
        "workload": workload,
    }


def main() -> int:
    texts = rendered()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'written'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(texts[path], encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
