# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The model providers that kubectl-ai knows: which environment variables each needs, and which it may see."""

from __future__ import annotations

import dataclasses
from typing import Mapping
from urllib.parse import urlsplit

_ROUTE = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
_SECRET_MARKS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_TOO_SHORT_TO_BE_SECRET = 8  # local endpoints take any key: replacing "none" everywhere would garble the answer


@dataclasses.dataclass(frozen=True)
class Provider:
    """One provider. The variable ``chosen_by`` being set selects it where no provider is named; "" means only by name."""

    chosen_by: str
    needs: tuple[str, ...] = ()
    sees: tuple[str, ...] = ()
    model_variable: str = ""
    model: str = ""  # used when none is named, with the provider's own endpoint
    endpoints: tuple[str, ...] = ()  # variables that name another endpoint, which may not have the default model
    files: tuple[str, ...] = ()  # variables that name a file which the engine must be able to read
    parallel: int = 4  # questions that it can be expected to work on at the same time


# In the order in which they are looked for. Variables that people have set for other reasons (AWS_*, GOOGLE_*) do not
# choose a provider: evidence goes to nobody who was not chosen.
PROVIDERS: dict[str, Provider] = {
    "gemini": Provider("GEMINI_API_KEY", ("GEMINI_API_KEY",), model="gemini-2.5-flash", endpoints=("GOOGLE_GEMINI_BASE_URL",)),
    "openai": Provider(
        "OPENAI_API_KEY",
        ("OPENAI_API_KEY",),
        ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_USE_RESPONSES_API"),
        "OPENAI_MODEL",
        "gpt-4.1",
        endpoints=("OPENAI_ENDPOINT", "OPENAI_API_BASE", "OPENAI_BASE_URL"),
    ),
    "azopenai": Provider(
        "AZURE_OPENAI_ENDPOINT",
        ("AZURE_OPENAI_ENDPOINT",),
        (
            "AZURE_OPENAI_API_KEY",
            "AZURE_TENANT_ID",
            "AZURE_CLIENT_ID",
            "AZURE_CLIENT_SECRET",
            "AZURE_AUTHORITY_HOST",
            "AZURE_FEDERATED_TOKEN_FILE",
        ),
        files=("AZURE_FEDERATED_TOKEN_FILE",),
    ),
    "grok": Provider("GROK_API_KEY", ("GROK_API_KEY",), model="grok-3-beta", endpoints=("GROK_ENDPOINT",)),
    "ollama": Provider("OLLAMA_HOST", endpoints=("OLLAMA_HOST",), parallel=1),
    "llamacpp": Provider("LLAMACPP_HOST", model="default", sees=("LLAMACPP_HOST",), parallel=1),  # serves one model, whatever its name
    "bedrock": Provider(
        "BEDROCK_MODEL",
        (),
        (
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_CA_BUNDLE",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
            "AWS_ROLE_ARN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
        ),
        "BEDROCK_MODEL",
        files=("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ),
    "vertexai": Provider(
        "",
        ("GOOGLE_CLOUD_PROJECT",),
        ("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", "GOOGLE_APPLICATION_CREDENTIALS"),
        model="gemini-2.5-flash",
        files=("GOOGLE_APPLICATION_CREDENTIALS",),
    ),
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """A provider and model to use, or the reason why there is none."""

    provider: str = ""
    model: str = ""
    reason: str = ""


def choose(provider: str | None, model: str | None, environment: Mapping[str, str]) -> Choice:
    """The provider that is named, else the first one that the environment configures, and its model."""
    name = provider or next((key for key, value in PROVIDERS.items() if value.chosen_by and environment.get(value.chosen_by)), "")
    if not name:
        variables = ", ".join(value.chosen_by for value in PROVIDERS.values() if value.chosen_by)
        return Choice(reason=f"no provider is configured: set one of the environment variables {variables}, or name the provider")
    known = PROVIDERS.get(name)
    if known is None:  # kubectl-ai itself hangs on a name that it does not know
        return Choice(name, reason=f"the provider {name} is not known; known are {', '.join(PROVIDERS)}")
    missing = [variable for variable in known.needs if not environment.get(variable)]
    if missing:
        return Choice(name, reason=f"the provider {name} needs the environment variable {' and '.join(missing)}")
    elsewhere = any(environment.get(variable) for variable in known.endpoints)
    chosen = model or environment.get(known.model_variable, "") or ("" if elsewhere else known.model)
    if not chosen:
        return Choice(
            name,
            reason=f"the provider {name} has no default model{' at this endpoint' if known.model else ''}: name one with the option model",
        )
    return Choice(name, chosen)


def visible(provider: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the engine gets: the provider's own and the way to the network."""
    known = PROVIDERS[provider]
    return _present((*known.needs, *known.sees, *known.endpoints, *_ROUTE), environment)


def route(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that say how to reach the network, without anything of a provider."""
    return _present(_ROUTE, environment)


def readable_files(provider: str, environment: Mapping[str, str]) -> list[str]:
    """Files that the variables name and the engine must be able to read."""
    names = (*PROVIDERS[provider].files, "SSL_CERT_FILE", "SSL_CERT_DIR")
    return [environment[name] for name in names if environment.get(name)]


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """Everything in the environment that must not show up anywhere: keys, tokens, passwords in URLs."""
    found = [
        value for name, value in environment.items() if any(mark in name.upper() for mark in _SECRET_MARKS) and not name.endswith("_FILE")
    ]
    for value in environment.values():
        if "@" in value and "://" in value:
            found.append(urlsplit(value).password or "")
    return sorted({value for value in found if len(value) >= _TOO_SHORT_TO_BE_SECRET}, key=len, reverse=True)


def _present(names: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in names if environment.get(name)}
