# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Options that several modules and actions share, declared once; their documentation is in plugins/doc_fragments."""

from __future__ import annotations

import copy
from typing import Any, Callable, Mapping

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Spec = dict[str, Any]

CONNECTION: Spec = copy.deepcopy(AUTH_ARG_SPEC)
EXECUTOR: Spec = {"executor": {"type": "dict", "no_log": True}}
RECORDS: Spec = {
    "records_dir": {"type": "path", "default": "./history/prompts"},
    "feature": {"type": "str", "default": "004-phase-iv-aiops"},
}
RECORD: Spec = {**RECORDS, "record": {"type": "str", "required": True}}


def connections(options: Mapping[str, Any]) -> tuple[Callable[[], Api], Callable[[], Api]]:
    """(reader, executor): each opens its connection when first called. Without the option executor both are one.

    Raises BadInput for an executor with unknown options: with one that is misspelt, others than those meant would change the cluster.
    """
    opened: dict[str, Api] = {}
    separate = _executor(options.get("executor") or {})

    def reader() -> Api:
        if "reader" not in opened:
            opened["reader"] = connect(options)
        return opened["reader"]

    def executor() -> Api:
        if not separate:
            return reader()
        if "executor" not in opened:
            opened["executor"] = connect(separate, environment={})  # K8S_AUTH_* are the reader's
        return opened["executor"]

    return reader, executor


def _executor(options: Mapping[str, Any]) -> dict[str, Any]:
    checked = ArgumentSpecValidator(CONNECTION).validate(dict(options))
    if checked.error_messages:
        raise BadInput(
            f"executor: {'; '.join(checked.error_messages)}.",
            "It takes the connection options of kubernetes.core: kubeconfig, context, host, api_key...",
        )
    return {name: value for name, value in checked.validated_parameters.items() if value is not None}
