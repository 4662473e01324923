# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Checks all records, compares them with the cluster, and reports."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import audit, report
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import governing
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, RECORDS, connections
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, say

_NAMING = ("kubeconfig", "context", "host")  # options that name a cluster
_FILES = ("result_file", "markdown_file", "junit_file")


class ActionModule(Action):
    SPEC = {
        **CONNECTION,
        **RECORDS,
        "cluster": {"type": "str", "choices": list(audit.WAYS), "default": "auto"},
        "namespaces": {"type": "list", "elements": "str", "default": []},
        "since": {"type": "path"},
        "strict": {"type": "bool", "default": False},
        **{name: {"type": "path"} for name in _FILES},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        paths = {name: options[name] for name in _FILES if options[name]}
        for name, path in paths.items():
            output.writable(name, path)
        store = self.records(options)
        explicit = any(options.get(name) for name in _NAMING)
        wanted = audit.Wanted(options["cluster"], explicit, tuple(options["namespaces"]), options["since"] or "")
        reader, _executor = connections(options)
        try:
            document = audit.run(store, governing(store), reader, wanted)
        except AiopsError as error:
            _write(paths, audit.failed(store, error), options["strict"])
            raise
        _write(paths, document, options["strict"])
        say(report.lines(document, options["strict"], [nearest(path) for path in paths.values()]))
        found = audit.numbers(document)
        failing = found["error"] + (found["warning"] if options["strict"] else 0)
        result: dict[str, Any] = {"share": document["share"], "counts": found}
        if failing:
            first = next(one for one in document["findings"] if one["severity"] == "error" or options["strict"])
            about = ", ".join(part for part in (f"record {first['record']}" if first["record"] else "", first["object"]) if part)
            message = (
                f"The records are not compliant: {found['error']} errors, {found['warning']} warnings. First, {first['code']} {about}:"
                f" {first['message']}"
            )
            return {**result, "failed": True, "msg": message}  # Ansible prints all of it; what was found is above and in the reports
        return {**result, **{key: document[key] for key in ("checks", "findings", "coverage", "cluster")}}


def _write(paths: dict[str, str], document: dict[str, Any], strict: bool) -> None:
    made = {
        "result_file": lambda: (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace"),
        "markdown_file": lambda: report.markdown(document).encode("utf-8", "replace"),
        "junit_file": lambda: report.junit(document, strict),
    }
    for name, path in paths.items():
        output.write(name, path, made[name]())
