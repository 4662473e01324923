# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Samples of one series in a few bytes each: times, millionths of a core, bytes.

``packed`` turns them into one blob, ``unpacked`` back without loss (ValueError where the blob does not hold together). Times and memory are
kept as differences, the bytes of all numbers lie by their weight, and zlib does the rest: 5 to 6 bytes a sample. Only C code touches the
single numbers, so that millions are read in a second. Pure.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from itertools import accumulate, islice
from operator import sub
from typing import Sequence

MOST_CPU = 2**32 - 1  # millionths of a core: 4294 cores
_WIDTHS = (("I", 4), ("I", 4), ("q", 8))  # seconds after the last one, millionths of a core, bytes more than the last one
_EACH = sum(width for _code, width in _WIDTHS)


def packed(begin: int, times: Sequence[int], cpu: Sequence[int], memory: Sequence[int]) -> bytes:
    """``times`` ascend and none lies before ``begin``."""
    columns = (_differences(begin, times), cpu, _differences(0, memory))
    return zlib.compress(b"".join(_woven(array(code, column), width) for (code, width), column in zip(_WIDTHS, columns)), 6)


def unpacked(begin: int, blob: bytes) -> tuple[list[int], array[int], list[int]]:
    """(times, cpu, memory). Raises ValueError."""
    try:
        data = zlib.decompress(blob)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    count, rest = divmod(len(data), _EACH)
    if rest:
        raise ValueError(f"{len(data)} bytes are no whole number of samples")
    columns, offset = [], 0
    for code, width in _WIDTHS:
        columns.append(_unwoven(code, data[offset : offset + count * width], width, count))
        offset += count * width
    times, cpu, memory = columns
    return list(islice(accumulate(times, initial=begin), 1, None)), cpu, list(accumulate(memory))


def _differences(begin: int, values: Sequence[int]) -> list[int]:
    return [values[0] - begin, *map(sub, values[1:], values)] if values else []


def _woven(column: array[int], width: int) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    data = column.tobytes()
    return b"".join(data[index::width] for index in range(width))


def _unwoven(code: str, data: bytes, width: int, count: int) -> array[int]:
    plain = bytearray(len(data))
    for index in range(width):
        plain[index::width] = data[index * count : (index + 1) * count]
    column = array(code)
    column.frombytes(bytes(plain))
    if sys.byteorder == "big":
        column.byteswap()
    return column
