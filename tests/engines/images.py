"""Images for the tests, built here since none can be pulled, and kept between runs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import httpx

from .dockerd import Dockerd, EngineMissing

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def cache_folder() -> Path:
    """Where built images are kept: `JUPYTER_EXT_CACHE`, or below the user's cache folder."""
    named = os.environ.get("JUPYTER_EXT_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "jupyter_ext"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def busybox_program() -> Path:
    """Return the static busybox of this machine; raises `EngineMissing` where there is none."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if Path(path).exists():
            return Path(path)
    raise EngineMissing("busybox is not installed: apt-get install busybox-static")


def busybox_tar() -> Path:
    """Return a tar of a 2 MB root file system with busybox and links for its commands."""
    program = busybox_program()
    content = program.read_bytes()
    path = cache_folder() / f"busybox-{hashlib.sha256(content).hexdigest()[:16]}.tar"
    if path.exists():
        return path
    commands = subprocess.run(
        [str(program), "--list"], check=True, capture_output=True, text=True
    ).stdout.split()
    building = path.with_suffix(f".{os.getpid()}")
    with tarfile.open(building, "w") as tar:
        for folder in ("bin", "etc", "tmp", "root", "proc", "sys", "dev", "var", "var/tmp"):
            _add(tar, folder, kind=tarfile.DIRTYPE, mode=0o1777 if "tmp" in folder else 0o755)
        _add(tar, "bin/busybox", content, mode=0o755)
        for command in commands:
            if command != "busybox":
                _add(tar, f"bin/{command}", kind=tarfile.SYMTYPE, target="busybox")
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        _add(tar, "etc/group", b"root:x:0:\n")
    building.replace(path)
    return path


def load_busybox(
    engine: Dockerd,
    tag: str = "busybox:latest",
    *,
    changes: tuple[str, ...] = ('CMD ["sh"]', "ENV PATH=/bin"),
) -> str:
    """Import busybox into an engine under a tag of choice and return the image's id.

    Parameters
    ----------
    changes
        Lines of a Dockerfile, ``EXPOSE 80``.
    """
    with busybox_tar().open("rb") as tar:
        words = [word for change in changes for word in ("--change", change)]
        return engine.docker("import", *words, "-", tag, stdin=tar.read())


def random_layer(size: int, name: str = "data") -> bytes:
    """Return a layer of random bytes, which nothing can have cached or compress."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, name, os.urandom(size))
    return buffer.getvalue()


def _add(
    tar: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    target: str = "",
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(content), target
    tar.addfile(info, io.BytesIO(content))


def push_layers(
    registry: str, name: str, tag: str = "latest", sizes: tuple[int, ...] = (1 << 20,) * 4
) -> str:
    """Put an image of busybox and fresh random layers into a registry and return its name.

    No engine takes part, so that an engine that pulls it has never seen its layers.

    Parameters
    ----------
    registry
        ``127.0.0.1:5000``.
    sizes
        Bytes of each random layer.
    """
    layers = [busybox_tar().read_bytes()]
    layers += [random_layer(size, f"data{number}") for number, size in enumerate(sizes)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        "history": [{"created_by": "tests"} for _ in layers],
    }
    with httpx.Client(base_url=f"http://{registry}/v2/{name}/", trust_env=False) as client:
        # Random bytes can't be made smaller, and trying takes seconds.
        blobs = [_upload(client, gzip.compress(layer, 0)) for layer in layers]
        settings = _upload(client, json.dumps(config).encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **settings},
            "layers": [{"mediaType": LAYER, **blob} for blob in blobs],
        }
        client.put(
            f"manifests/{tag}",
            content=json.dumps(manifest),
            headers={"Content-Type": MANIFEST},
        ).raise_for_status()
    return f"{registry}/{name}:{tag}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _upload(client: httpx.Client, content: bytes) -> dict[str, object]:
    begun = client.post("blobs/uploads/")
    begun.raise_for_status()
    digest = _digest(content)
    client.put(
        begun.headers["Location"],
        params={**dict(httpx.URL(begun.headers["Location"]).params), "digest": digest},
        content=content,
        headers={"Content-Type": "application/octet-stream"},
    ).raise_for_status()
    return {"size": len(content), "digest": digest}
