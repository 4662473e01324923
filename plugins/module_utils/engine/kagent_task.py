# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The task kagent, for the module and for the action of that name: its options, and its result from them."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine.a2a_door import DEFAULT_URL, open_door, token_of
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent import AGENT, ENGINE, NAMESPACE, Settings, ask
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Opinion
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Show, nobody
from ansible_collections.aiops.k8s.plugins.module_utils.engine.task import COMMON, manner, results
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, Spec

SPEC: Spec = {
    **CONNECTION,
    **COMMON,
    "agent": {"type": "str", "default": AGENT},
    "agent_namespace": {"type": "str", "default": NAMESPACE},
    "url": {"type": "str", "default": DEFAULT_URL},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "url_ca_cert": {"type": "path"},
    "url_validate_certs": {"type": "bool", "default": True},
}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def answers(options: Mapping[str, Any], environment: Mapping[str, str], show: Show = nobody) -> dict[str, Any]:
    """{opinions, usage}. Raises AiopsError for wrong options, and when ai=required got no answer; it then carries the same."""
    for name in ("agent", "agent_namespace"):
        if not _NAME.fullmatch(options[name]):
            raise BadInput(f"{name} is {options[name]!r}, which is no name of a Kubernetes object.", "Name the Agent and its namespace.")
    settings = Settings(**manner(options), agent=options["agent"], namespace=options["agent_namespace"])

    def asked() -> list[Opinion]:
        door = open_door(
            options["url"],
            token_of(options["token"], options["token_file"], environment),
            environment,
            connection=options,
            ca_cert=options["url_ca_cert"],
            validate_certs=options["url_validate_certs"],
        )
        return ask(options["questions"], settings, options["budget"], door, show=show)

    return results(ENGINE, options, asked)
