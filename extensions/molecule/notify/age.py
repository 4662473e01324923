# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes a proposal older: python age.py RECORD.jsonl SECONDS. The plan, and with it the digest, stays as it is."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import rfc8785

path = Path(sys.argv[1])
event = json.loads(path.read_text(encoding="utf-8"))
moved = datetime.fromisoformat(event["time"].replace("Z", "+00:00")) - timedelta(seconds=float(sys.argv[2]))
event["time"] = f"{moved:%Y-%m-%dT%H:%M:%S}.{moved.microsecond // 1000:03d}Z"
event["hash"] = hashlib.sha256(rfc8785.dumps({key: value for key, value in event.items() if key != "hash"})).hexdigest()
path.write_text(json.dumps(event) + "\n", encoding="utf-8")
