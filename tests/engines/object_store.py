"""An object store on 127.0.0.1 that speaks S3 by TLS: moto's server."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from . import scratch
from .certificates import Certificates

SERVER = """
import contextlib, sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import ThreadedWSGIServer

class Server(ThreadedWSGIServer):
    def shutdown_request(self, request):
        # Says goodbye as TLS wants it; clients take a connection that only ends for a broken one.
        request.settimeout(2)
        with contextlib.suppress(OSError):
            request = request.unwrap()
        super().shutdown_request(request)

port, *key = sys.argv[1:]
application = DomainDispatcherApplication(create_backend_app)
Server("127.0.0.1", int(port), application, ssl_context=tuple(key)).serve_forever()
"""


@dataclass(frozen=True)
class ObjectStore:
    """A running store.

    Attributes
    ----------
    endpoint
        ``localhost:port``: its certificate has this name.
    ca_file
        What vouches for it.
    """

    endpoint: str
    ca_file: Path

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        httpx.put(f"https://{self.endpoint}/{name}", verify=context).raise_for_status()

    def objects(self, bucket: str) -> str:
        """Return the store's list of a bucket's objects, as XML."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        answer = httpx.get(f"https://{self.endpoint}/{bucket}?list-type=2", verify=context)
        return answer.raise_for_status().text


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Run an empty store; its keys and its log lie in `folder`."""
    certificates = Certificates(folder, "localhost")
    port = scratch.free_port()
    key = [str(certificates.server / name) for name in ("cert.pem", "key.pem")]
    command = [sys.executable, "-c", SERVER, str(port), *key]
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        scratch.wait_until(lambda: not scratch.is_free(port), "the object store answers")
        yield ObjectStore(f"localhost:{port}", certificates.server / "ca.pem")
    finally:
        scratch.stop(process)
