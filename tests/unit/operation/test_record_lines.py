# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Lines of a record: the quick verification says what the slow one says, and nothing can be hidden in a line."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical, digest

from tests.unit.operation import samples

VALUES: list[Any] = [
    *[None, True, False, "", "text", [], {}, 0, -1, 1.5, -0.25, 0.1, 612.2, 123456.789, 2**53 - 1, -(2**53) + 1],
    *[1.0, 0.0, -0.0, 1e16, 1e21, 1e22, 1.5e300, 1e-4, 1e-5, 1.5e-7, 1e-10, 5e-324],
    *['"hash":"', '\\"hash\\":\\"0', "\x00\x1f\x7f\b\f\n\r\t", "é\u2028\ufeff", "🦊", "\U0010ffff", "</script>"],
    *[{"hash": "0" * 64}, {"é": 1, "e": 2, "z": 3}, {"\ue000": 1, "🦊": 2}, {"actor": {"hash": "x"}}, [[[{"a": [1, "2", 3.25]}]]]],
]


def event(value: Any, **more: Any) -> dict[str, Any]:
    body = {"seq": 1, "time": "t", "kind": "proposed", "actor": samples.REQUESTER, "payload": {"x": value}, "previous": "", **more}
    return {**body, "hash": digest(body)}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:30])
def test_what_is_written_is_read(value: Any) -> None:
    one = event(value)
    (read,) = chain.read(chain.line(one), "0001")
    assert canonical(read) == canonical(one) and read["hash"] == one["hash"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:30])
def test_lines_of_the_first_version_are_read(value: Any) -> None:
    one = event(value)
    line = json.dumps(one, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    assert chain.read(line, "0001") == [one]


def random_value(random_: random.Random, depth: int = 0) -> Any:
    kind = random_.randrange(9 if depth < 4 else 6)
    if kind < 3:
        return random_.choice(VALUES)
    if kind == 3:
        return random_.uniform(-1, 1) * 10 ** random_.randint(-12, 25)
    if kind == 4:
        return random_.randint(-(2**53) + 1, 2**53 - 1)
    if kind == 5:
        return "".join(chr(random_.choice([random_.randrange(0xD800), random_.randrange(0xE000, 0x110000)])) for _letter in range(8))
    if kind == 6:
        return [random_value(random_, depth + 1) for _item in range(3)]
    return {str(random_value(random_, 9)): random_value(random_, depth + 1) for _item in range(3)}


def test_quick_and_slow_agree_on_anything() -> None:
    random_, quick = random.Random(8785), 0
    for _case in range(3000):
        one = event(random_value(random_))
        text = chain.line(one)[:-1]
        found = chain._quickly(text)
        quick += found is not None
        assert chain._slowly(text)[1] == one["hash"]
        assert found is None or found == chain._slowly(text)
    assert quick > 1000


def test_the_quick_way_is_taken_for_what_we_write() -> None:
    events = samples.events(*samples.WAYS["rolled_back"])
    assert all(chain._quickly(chain.line(one)[:-1]) for one in events)


ONE = event("a")
TEXT = chain.line(ONE).decode()[:-1]
OTHER = event({"n": 1, "hash": "0" * 64})
NUMBER = chain.line(OTHER).decode()[:-1]
FORGED: list[tuple[str, str, str]] = [
    ("a key twice, the forged one first", TEXT.replace('{"x":"a"}', '{"x":"forged","x":"a"}'), "a key stands twice"),
    ("a key twice, the forged one last", TEXT.replace('{"x":"a"}', '{"x":"a","x":"forged"}'), "a key stands twice"),
    ("payload twice", TEXT.replace('"payload":', '"payload":{"x":"forged"},"payload":'), "a key stands twice"),
    ("hash twice", TEXT.replace('"hash":', '"hash":"0","hash":'), "a key stands twice"),
    ("an edit", TEXT.replace('{"x":"a"}', '{"x":"b"}'), "does not match its hash"),
    (
        "hash moved into the payload",
        TEXT.replace(f'"hash":"{ONE["hash"]}",', "").replace('"x":"a"', f'"hash":"{ONE["hash"]}","x":"a"'),
        "it lacks hash",
    ),
    ("hash in the actor", TEXT.replace('"actor":{', f'"actor":{{"hash":"{ONE["hash"]}",'), "does not match its hash"),
    ("a key more", TEXT.replace('"kind":', '"extra":1,"kind":'), "does not match its hash"),
    ("upper-case hash", TEXT.replace(ONE["hash"], ONE["hash"].upper()), "does not match its hash"),
    ("a hash that is a number", TEXT.replace(f'"{ONE["hash"]}"', "7"), "does not match its hash"),
    ("the hash of the bytes, with a number in another notation", "", "does not match its hash"),
    ("not a number", TEXT.replace('"a"', "NaN"), "does not match its hash"),
    ("infinite", TEXT.replace('"a"', "1e999"), "does not match its hash"),
    ("a huge number", TEXT.replace('"a"', "9" * 5000), "it is not a JSON object"),
    ("beyond exact integers", TEXT.replace('"a"', "9007199254740993"), "does not match its hash"),
    ("half a pair", TEXT.replace('"a"', '"\\ud800"'), "does not match its hash"),
    ("as deep as a well", TEXT.replace('"a"', "[" * 100_000 + "]" * 100_000), "it is not a JSON object"),
    ("UTF-16", "", "it is not a JSON object"),
    ("rebased to nothing", chain.line(event("a", rebased="x")).decode()[:-1], "its rebased names no hash"),
    ("renumbered without a hash", chain.line(event("a", renumbered={"from": "0001"})).decode()[:-1], "its renumbered names no hash"),
]


def by_bytes(text: str) -> bytes:
    """A line whose bytes, without the hash, have that hash: what a careless quick way would take."""
    import hashlib

    bare = text.replace(f'"hash":"{OTHER["hash"]}",', "").replace('"n":1', '"n":1.0')
    return text.replace('"n":1', '"n":1.0').replace(OTHER["hash"], hashlib.sha256(bare.encode()).hexdigest()).encode()


@pytest.mark.parametrize("what, text, says", FORGED, ids=[row[0] for row in FORGED])
def test_forged_lines(what: str, text: str, says: str) -> None:
    data = {"UTF-16": TEXT.encode("utf-16-le")}.get(what, text.encode() if text else by_bytes(NUMBER))
    with pytest.raises(RecordDamaged, match=says):
        chain.read(data + b"\n", "0001")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ONE),
        json.dumps(ONE, indent=None, separators=(", ", " : ")),
        json.dumps(dict(reversed(ONE.items()))),
        TEXT.replace('"a"', '"\\u0061"'),
        NUMBER.replace('"n":1', '"n":1.0'),
        NUMBER.replace('"n":1', '"n":10e-1'),
        TEXT + "\r",
    ],
    ids=["spaces", "more spaces", "another order", "an escape", "1.0", "10e-1", "a carriage return"],
)
def test_the_same_event_in_another_notation_takes_the_slow_way(text: str) -> None:
    assert chain._quickly(text.encode()) is None
    (read,) = chain.read(text.encode() + b"\n", "0001")
    assert canonical(read) == canonical(OTHER if '"n"' in text else ONE)
