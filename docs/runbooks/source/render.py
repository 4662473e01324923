# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Renders a runbook for every finding code: ``make runbooks``. The text is in the YAML files beside this one, one for each area.

A new code needs an entry in plugins/module_utils/diagnosis/catalogue.py and one here; a test says which is missing. ``python render.py --check``
changes nothing, and fails where a rendered runbook is not what is in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES, runbook
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def entries() -> dict[str, dict[str, Any]]:
    """{code: its text}. Raises ValueError for a code that the catalogue does not know, or that stands in another area's file."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(HERE.glob("*.yml")):
        for code, text in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            if code not in CODES or CODES[code].area != path.stem:
                raise ValueError(f"{path.name}: {code} is not a code of the area {path.stem}")
            found[code] = text
    missing = sorted(set(CODES) - set(found))
    if missing:
        raise ValueError(f"no text for {', '.join(missing)}")
    return found


def rendered() -> dict[Path, str]:
    """{path of the runbook: its text}."""
    template = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False).get_template(
        "runbook.md.j2"
    )
    return {
        ROOT / runbook(code): template.render(code=code, area=CODES[code].area, means=CODES[code].means, **text) for code, text in entries().items()
    }


def main() -> int:
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'written'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(rendered()[path], encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
