# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.redaction [FILE ...]``: false alarms and speed of the redaction on ordinary logs.

Without arguments: the logs of the test cluster's components and pods, and those under /var/log. Every alarm is shown with what stands
before it, so that one sees whether it is true; the value itself is shortened. Time is processor time. Nothing here passes or fails.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "dev"))  # the collection from the tree
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import MASK, redact  # noqa: E402

PLACES = (
    "/var/tmp/aiops-k8s-cluster/*.log",
    "/var/tmp/aiops-k8s-cluster/logs/*.log",
    "/var/tmp/aiops-k8s-cluster/pod-logs/*/*/*.log",
    "/var/log/**/*.log",
)

MOST = 4_000_000  # bytes of one file, from its end: an audit log may have hundreds of megabytes


def main(arguments: list[str]) -> int:
    files = [Path(name) for name in arguments] or sorted({path for place in PLACES for path in Path("/").glob(place.lstrip("/"))})
    lines = size = alarms = 0
    spent = 0.0
    for path in files:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MOST))
            text = file.read().decode("utf-8", "replace")
        started = time.process_time()
        found, taken = redact(text)
        spent += time.process_time() - started
        lines, size, alarms = lines + text.count("\n"), size + len(text.encode()), alarms + taken
        if taken:
            print(f"{path}: {taken}")
            for line in found.splitlines():
                if MASK in line:
                    at = line.index(MASK)
                    print(f"    {line[max(0, at - 100) : at + 40]}")
    if not lines:
        print("no logs found: start the test cluster, or name files")
        return 2
    print(
        f"files {len(files)}  lines {lines}  bytes {size}  alarms {alarms}  per 100k lines {alarms * 1e5 / lines:.1f}  MB/s {size / 1e6 / spent:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
