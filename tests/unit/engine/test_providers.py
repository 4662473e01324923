# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which provider is chosen, and what of the environment reaches the engine."""

from __future__ import annotations

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import PROVIDERS, choose, readable_files, route, secret_values, visible


@pytest.mark.parametrize(("provider", "model", "environment", "chosen"), [
    (None, None, {"GEMINI_API_KEY": "k"}, ("gemini", "gemini-2.5-flash")),
    (None, None, {"GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k"}, ("gemini", "gemini-2.5-flash")),
    ("openai", None, {"GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k"}, ("openai", "gpt-4.1")),
    ("openai", None, {"OPENAI_API_KEY": "k", "OPENAI_MODEL": "own"}, ("openai", "own")),
    ("openai", "mine", {"OPENAI_API_KEY": "k", "OPENAI_MODEL": "own"}, ("openai", "mine")),
    (None, "m", {"OPENAI_API_KEY": "k", "OPENAI_ENDPOINT": "http://x/v1"}, ("openai", "m")),
    (None, "deployment", {"AZURE_OPENAI_ENDPOINT": "https://x"}, ("azopenai", "deployment")),
    (None, None, {"GROK_API_KEY": "k"}, ("grok", "grok-3-beta")),
    (None, "qwen3", {"OLLAMA_HOST": "x"}, ("ollama", "qwen3")),
    ("ollama", "qwen3", {}, ("ollama", "qwen3")),
    (None, None, {"LLAMACPP_HOST": "http://x"}, ("llamacpp", "default")),
    (None, None, {"BEDROCK_MODEL": "b"}, ("bedrock", "b")),
    ("vertexai", None, {"GOOGLE_CLOUD_PROJECT": "p"}, ("vertexai", "gemini-2.5-flash")),
])
def test_choice(provider: str | None, model: str | None, environment: dict[str, str], chosen: tuple[str, str]) -> None:
    choice = choose(provider, model, environment)
    assert (choice.provider, choice.model, choice.reason) == (*chosen, "")


@pytest.mark.parametrize(("provider", "environment", "reason"), [
    (None, {}, "no provider is configured: set one of"),
    (None, {"GEMINI_API_KEY": ""}, "no provider is configured"),
    (None, {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "k", "GOOGLE_CLOUD_PROJECT": "p"}, "no provider is configured"),
    ("gemini", {"OPENAI_API_KEY": "k"}, "gemini needs the environment variable GEMINI_API_KEY"),
    ("openai", {"OPENAI_API_KEY": "k", "OPENAI_ENDPOINT": "http://x/v1"}, "no default model at this endpoint"),
    ("ollama", {}, "no default model"),
    ("azopenai", {"AZURE_OPENAI_ENDPOINT": "https://x"}, "no default model"),
    ("clippy", {}, "clippy is not known"),
])
def test_no_choice_says_what_to_do(provider: str | None, environment: dict[str, str], reason: str) -> None:
    assert reason in choose(provider, None, environment).reason


def test_the_engine_sees_its_own_provider_and_the_way_to_the_network() -> None:
    environment = {
        "OPENAI_API_KEY": "k", "OPENAI_ENDPOINT": "http://x/v1", "GEMINI_API_KEY": "other", "AWS_SECRET_ACCESS_KEY": "other", "KUBECONFIG": "/x",
        "HTTPS_PROXY": "http://proxy", "SSL_CERT_FILE": "/ca.pem", "LLM_SKIP_VERIFY_SSL": "1", "HOME": "/root", "VAULT_TOKEN": "t", "OPENAI_ORG_ID": "",
    }
    assert visible("openai", environment) == {
        "OPENAI_API_KEY": "k", "OPENAI_ENDPOINT": "http://x/v1", "HTTPS_PROXY": "http://proxy", "SSL_CERT_FILE": "/ca.pem",
    }
    assert route(environment) == {"HTTPS_PROXY": "http://proxy", "SSL_CERT_FILE": "/ca.pem"}


def test_files_that_variables_name_can_be_read() -> None:
    environment = {"GOOGLE_APPLICATION_CREDENTIALS": "/sa.json", "SSL_CERT_FILE": "/ca.pem", "AWS_CONFIG_FILE": "/aws"}
    assert readable_files("vertexai", environment) == ["/sa.json", "/ca.pem"]


def test_secret_values() -> None:
    environment = {
        "OPENAI_API_KEY": "sk-1234567890", "AWS_SESSION_TOKEN": "session-token-1", "HTTPS_PROXY": "http://me:proxy-password@proxy:1",
        "OPENAI_ENDPOINT": "http://x/v1", "GROK_API_KEY": "none", "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    }
    assert set(secret_values(environment)) == {"sk-1234567890", "session-token-1", "proxy-password"}


def test_every_provider_can_see_what_it_needs() -> None:
    for name, provider in PROVIDERS.items():
        wanted = {variable: "x" for variable in (*provider.needs, provider.chosen_by, provider.model_variable, *provider.files) if variable}
        assert set(wanted) - set(visible(name, wanted)) <= {"OPENAI_MODEL", "BEDROCK_MODEL"}  # the model goes in as an argument
