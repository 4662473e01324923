# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A server in the background: python receiver.py DIRECTORY. It writes DIRECTORY/port, and each body that it gets to DIRECTORY/received-N.json.

It ends by itself when the directory is gone, or after ten minutes.
"""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

DIRECTORY = Path(sys.argv[1])
SECONDS = 600


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        (DIRECTORY / f"received-{len(list(DIRECTORY.glob('received-*'))) + 1}.json").write_bytes(body)
        self.send_response(204)
        self.end_headers()


def main() -> None:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.timeout = 1
    (DIRECTORY / "port").write_text(str(server.server_address[1]), encoding="ascii")
    if os.fork():
        return
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    until = time.monotonic() + SECONDS
    while DIRECTORY.exists() and time.monotonic() < until:
        server.handle_request()


main()
