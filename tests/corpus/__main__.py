# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""python -m tests.corpus stage|check|record|clean|list [case...]: the staged failures that a diagnosis is measured by."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".build" / "dev"))

from tests.corpus.cases import CASES  # noqa: E402
from tests.corpus.stage import SECONDS, Stage, main_cluster  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("what", choices=("stage", "check", "record", "clean", "list"))
    parser.add_argument("names", nargs="*", metavar="case")
    parser.add_argument("--replay", action="store_true", help="check the recorded snapshots instead of the cluster")
    parser.add_argument("--failed", action="store_true", help="show only what is not right")
    parser.add_argument("--waves", type=int, default=0, metavar="N", help="record: stage, record and remove N cases after N cases")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long staging may take")
    given = parser.parse_intermixed_args()
    unknown = [name for name in given.names if name not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}")
    cases = [CASES[name] for name in given.names] or list(CASES.values())
    if given.what == "list":
        for case in cases:
            print(f"{case.name:34} {', '.join(f'{want.code} {want.object}' for want in case.wants) or f'nothing: {case.about}'}")
        return 0
    if given.replay:
        from tests.corpus import check

        return check.show([check.replay(case) for case in cases if (check.RECORDED / f"{case.name}.json").exists()], given.failed)
    stage = Stage(main_cluster())
    if given.what == "stage":
        took = stage.run(cases, given.seconds, say=lambda text: print(text, flush=True))
        print("slowest:", ", ".join(f"{name} {took[name]:.0f} s" for name in sorted(took, key=lambda name: -took[name])[:12]))
    elif given.what == "clean":
        stage.clean(given.names)
    elif given.what == "record":
        from tests.corpus import record

        if given.waves:
            for first in range(0, len(cases), given.waves):
                wave = cases[first : first + given.waves]
                stage.run(wave, given.seconds, say=lambda text: print(text, flush=True))
                print(f"{record.save(stage.api, wave)} snapshots", flush=True)
                stage.clean([case.name for case in wave])
        else:
            print(f"{record.save(stage.api, cases)} snapshots")
    else:
        from tests.corpus import check

        staged = {item["metadata"]["name"] for item in stage.api.pages("/api/v1/namespaces")}
        return check.show([check.live(stage.api, case) for case in cases if case.namespace in staged and not case.edit], given.failed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
