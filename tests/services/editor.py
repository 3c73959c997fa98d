"""A small program in the editor's place: it listens at a port and wants the editor's cookie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECRET = os.environ.pop("HASHED_PASSWORD")


class Page(BaseHTTPRequestHandler):
    """Says what it was sent, to whoever knows the secret."""

    def do_GET(self) -> None:
        cookies = self.headers.get("Cookie", "")
        if f"code-server-session={SECRET}" not in cookies.split("; "):
            self.send_error(401)
            return
        told = {
            "cookies": cookies.replace(SECRET, "secret"),
            "environment": sorted(os.environ),
            "host": self.headers.get("Host"),
            "session": os.getsid(0),
            "pid": os.getpid(),
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"[{moment}] the editor begins, its token={SECRET}, password: hunter2", flush=True)
    dies_until = "--dies-until" in sys.argv and not Path(sys.argv[-1]).exists()
    if dies_until or "--dies" in sys.argv:
        print(f"[{moment}] no room for an editor", flush=True)
        sys.exit(3)
    if "--forks" in sys.argv:
        # As code-server does: its first process only watches the one that listens.
        words = [sys.executable, __file__, sys.argv[1]]
        sys.exit(subprocess.call(words, env=os.environ | {"HASHED_PASSWORD": SECRET}))
    if "--deaf-until" in sys.argv and not Path(sys.argv[-1]).exists():
        time.sleep(600)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()


if __name__ == "__main__":
    main()
