# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the command line for `python -m tests.cluster` and for `python tests/cluster`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __package__:
    from .cli import main

    sys.exit(main(sys.argv[1:]))

# run by the name of its folder: the modules import each other as a package, so start once more as one
sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)
runpy.run_module("tests.cluster", run_name="__main__", alter_sys=True)
