# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What small models make of the form that was asked for."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.answer import Unparseable, json_object

GOOD = {"root_cause": "the db isn't there, see C:\\x", "agrees": True, "evidence": ["E1"], "note": "a, b, [c,] // d # e"}
TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    "raw",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"```JSON5\n{TEXT}\n```",
        f"Here you are:\n{TEXT}\nI hope that helps {{smile}}",
        f"I first thought {{x}} but: {TEXT}",
        f"```bash\nkubectl get pods\n```\nSo:\n{TEXT}",
        TEXT[:-1] + ",}",
        TEXT.replace('["E1"]', '["E1", ]'),
        TEXT.replace("true", "True"),
        TEXT[:-1] + " // done\n}",
        TEXT[:-1] + ', # as asked\n "code": None}',
        repr(GOOD),
        repr(GOOD).replace("True", "true"),
        json.dumps({"Root Cause": GOOD["root_cause"], "agrees": True, "evidence": ["E1"], "note": GOOD["note"]}),
        json.dumps({"rootCause": GOOD["root_cause"], "AGREES": True, "evidence": ["E1"], "note": GOOD["note"]}),
        json.dumps({"opinion": GOOD}),
        json.dumps({"answer": {"opinion": GOOD}}),
        json.dumps(GOOD, indent=2).replace("\n", "\r\n"),
        f'{{"root_cause": "a draft"}}\n{TEXT}',
        f'{{"root_cause": "<one or two sentences: what is wrong and why>", "agrees": "<true or false>"}}\n\n{TEXT}',
        f'```json\n{TEXT}\n```\n```json\n{{"root_cause": "<one or two sentences>", "agrees": true}}\n```',
    ],
)
def test_what_was_meant_is_read(raw: str) -> None:
    value, _remarks = json_object(raw)
    assert {name: value[name] for name in GOOD} == GOOD


def test_the_last_of_several_counts_and_a_contradiction_is_said() -> None:
    value, remarks = json_object('{"root_cause": "a", "agrees": true} no: {"root_cause": "b", "agrees": false}')
    assert value["root_cause"] == "b" and remarks == ["the answer held several opinions; the last one counts"]
    assert json_object(f"{TEXT}\n{TEXT}")[1] == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        ("It is the memory.", "no JSON object"),
        ('{"root_cause": "cut of', "no JSON object"),
        ('```json\n{"root_cause": "cut of\n```', "broken"),
        ('{"root_cause": "x"}', "has no agrees"),
        ('{"agrees": true}', "has no root_cause"),
        ('{"root_cause": "<one or two sentences: what is wrong and why>", "agrees": "<true or false>"}', "only repeats the form"),
        ('{"root_cause": "...", "agrees": true}', "only repeats the form"),
        ('["root_cause", "agrees"]', "no JSON object"),
        ("```json\n[1, 2]\n```", "not an object"),
        ("{'root_cause': open('/etc/passwd').read(), 'agrees': True}", "broken"),
        ("{'root_cause': 'x', 'agrees': {True}}", "broken"),
        ("{" * 50_000 + "}" * 50_000, "broken"),
        ("{'a':" * 3_000 + "}" * 3_000, "broken"),
    ],
)
def test_everything_else_has_a_reason(raw: str, reason: str) -> None:
    with pytest.raises(Unparseable, match=reason):
        json_object(raw)


@pytest.mark.parametrize("piece", ['"\\', "'", "/*", "```json\n", "{", "},{", ", ", "{'a':'\"", '{"a":1,}\n', "#\n"])
def test_hostile_answers_cost_little_time(piece: str) -> None:
    for raw in ("{" + piece * (260_000 // len(piece)) + "}", "{" + piece * (16_000 // len(piece)) + "}"):
        started = time.monotonic()
        try:
            json_object(raw[:262_000])
        except Unparseable:
            pass
        assert time.monotonic() - started < 3
