# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which tools only read: the role's list is the module's, and no name that speaks of a change is on it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.engine import kagent_tools
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent_tools import READING, may_change, tools_of

VARS = Path(kagent_tools.__file__).resolve().parents[3] / "roles" / "setup" / "vars" / "main.yml"


def test_the_role_has_the_same_list() -> None:
    assert set(yaml.safe_load(VARS.read_text(encoding="utf-8"))["setup_kagent_reading"]) == READING


@pytest.mark.attack
@pytest.mark.parametrize(
    "name",
    "k8s_apply_manifest k8s_create_resource k8s_delete_resource k8s_patch_resource k8s_scale k8s_rollout k8s_label_resource k8s_annotate_resource"
    " k8s_remove_label k8s_execute_command helm_upgrade helm_uninstall argo_promote_rollout istio_install_istio cilium_toggle_hubble deleteNamespace"
    " ApplyManifest run-shell kubectl.exec post_message".split(),
)
def test_names_that_speak_of_a_change(name: str) -> None:
    assert may_change(name) and name not in READING


@pytest.mark.parametrize("name", [*sorted(READING), "get_weather", "list_updates_available_since", "describe", "setting_of", "k8s_get_resource"])
def test_names_that_do_not(name: str) -> None:
    assert not may_change(name)


def test_the_tools_of_an_agent_are_told_apart() -> None:
    tools = [
        {"type": "McpServer", "mcpServer": {"name": "s", "toolNames": ["a", "b"], "requireApproval": ["b"]}},
        {"type": "McpServer", "mcpServer": {"name": "everything"}},
        {"type": "Agent", "agent": {"name": "other"}},
        "nonsense",
    ]
    assert tools_of({"tools": tools}) == (["a", "all of everything", "agent:other"], ["b"])
    assert tools_of({"tools": None}) == tools_of({}) == ([], [])
