# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Stages that mostly wait for pods to fail are begun before the first test, so that the other tests run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def early(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """{name of a test module: what its function ``go_early(cluster, directory)`` returns}."""
    found = [getattr(item, "module", None) for item in request.session.items]
    modules: dict[str, Any] = {module.__name__: module for module in found if module is not None and hasattr(module, "go_early")}
    if not modules:
        yield {}
        return
    cluster = request.getfixturevalue("cluster")
    with ThreadPoolExecutor(len(modules)) as pool:
        yield {name: pool.submit(module.go_early, cluster, tmp_path_factory.mktemp("early")) for name, module in modules.items()}
