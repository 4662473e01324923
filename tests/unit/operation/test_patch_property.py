# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Patches of many random documents, from a fixed seed: what holds for one pair must hold for any."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch

KEYS = ["a", "b", "name", "0", "1", "x/y", "~t", "é", ""]
SCALARS: list[Any] = [0, 1, 2, True, False, 1.5, "", "a", "1", "ü", "<&>"]
DOCUMENTS = 150


def value(dice: random.Random, depth: int) -> Any:
    kind = dice.random()
    if depth == 0 or kind < 0.3:
        return dice.choice(SCALARS)
    if kind < 0.6:
        return [value(dice, depth - 1) for _item in range(dice.randrange(4))]
    return {key: value(dice, depth - 1) for key in dice.sample(KEYS, dice.randrange(4))}


def mutated(dice: random.Random, old: Any) -> Any:
    """A document that shares much with the old one, as a desired state does with the live one."""
    if isinstance(old, dict):
        new = {key: mutated(dice, one) if dice.random() < 0.4 else one for key, one in old.items() if dice.random() > 0.15}
        return {**new, dice.choice(KEYS): value(dice, 1)} if dice.random() < 0.3 else new
    if isinstance(old, list):
        items = [mutated(dice, one) if dice.random() < 0.3 else one for one in old if dice.random() > 0.2]
        if dice.random() < 0.3:
            items.insert(dice.randrange(len(items) + 1), value(dice, 2))
        if dice.random() < 0.3:
            dice.shuffle(items)
        return items
    return dice.choice(SCALARS) if dice.random() < 0.5 else old


def pair(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    dice = random.Random(seed)
    metadata = {"uid": "u", "generation": 1}
    spec = {key: value(dice, 4) for key in dice.sample(KEYS, 4)}
    return {"metadata": metadata, "spec": spec}, {"metadata": dict(metadata), "spec": mutated(dice, copy.deepcopy(spec))}


def text(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


@pytest.mark.parametrize("seed", range(DOCUMENTS))
def test_there_and_back(seed: int) -> None:
    before, after = pair(seed)
    forward, inverse = patch.between(before, after)
    original = text([forward, inverse])
    there = patch.apply(before, forward)
    back = patch.apply(there, inverse)
    assert text(there) == text(after)
    assert text(back["spec"]) == text(before["spec"])
    assert patch.holds(before, forward) == [] and patch.holds(after, inverse) == []
    assert text([forward, inverse]) == original


@pytest.mark.parametrize("seed", range(DOCUMENTS))
def test_the_outcome_names_every_difference_and_nothing_else(seed: int) -> None:
    before, after = pair(seed)
    outcome = patch.outcome(before, after)
    assert bool(outcome) == (text(before["spec"]) != text(after["spec"]))
    assert len({line["path"] for line in outcome}) == len(outcome), "a path stands for one change"
    assert all(text(line["before"]) != text(line["after"]) for line in outcome)
    assert patch.outcome(before, after) == outcome


@pytest.mark.parametrize("seed", range(DOCUMENTS))
def test_different_outcomes_never_look_alike(seed: int) -> None:
    """An executor compares outcomes: a third document must not pass for the approved one."""
    before, after = pair(seed)
    other = copy.deepcopy(after)
    other["spec"] = mutated(random.Random(-seed - 1), other["spec"])
    if text(other) != text(after):
        assert text(patch.outcome(before, other)) != text(patch.outcome(before, after))
