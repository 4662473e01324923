# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Container images made from static programs, without a registry or a container engine: a docker-archive is a tar."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .binaries import fingerprint
from .console import ClusterError, run, say
from .settings import Paths, architecture

RECIPE = "1"  # raise when this file makes different images from the same programs
NAMESPACE = "k8s.io"  # containerd's, as the kubelet sees it
EPOCH = "1970-01-01T00:00:00Z"

# Users that workloads ask for by name
PASSWD = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "root:x:0:\nnobody:x:65534:\n"


@dataclass(frozen=True)
class Image:
    """What an image runs, and which built programs it holds besides busybox."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


IMAGES: dict[str, Image] = {
    "pause": Image(entrypoint=("/bin/sleep", "1000000000")),
    "busybox": Image(command=("sh",)),
    "coredns": Image(entrypoint=("/coredns",), programs=("coredns",)),
    "metrics-server": Image(entrypoint=("/metrics-server",), programs=("metrics-server",)),
}


def reference(name: str) -> str:
    """The full name under which the kubelet finds a local image."""
    return f"localhost/{name}:local"


def is_static(program: bytes) -> bool:
    """Whether a 64-bit little-endian ELF program runs without a dynamic loader, as an image with nothing else needs."""
    if program[:6] != b"\x7fELF\x02\x01":
        return False
    offset = int.from_bytes(program[32:40], "little")
    size, count = int.from_bytes(program[54:56], "little"), int.from_bytes(program[56:58], "little")
    kinds = [int.from_bytes(program[at : at + 4], "little") for at in range(offset, offset + size * count, size)]
    return 3 not in kinds  # PT_INTERP


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)  # owner 0 and time 0: the same input gives the same bytes
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def base_layer(busybox: bytes, applets: Sequence[str]) -> bytes:
    """A tar of a minimal root: busybox with a link for each applet, /etc/passwd and the folders a program expects."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "var", "var/run"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        _add(archive, "bin/busybox", busybox, 0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        _add(archive, "etc/passwd", PASSWD.encode())
        _add(archive, "etc/group", GROUP.encode())
    return buffer.getvalue()


def program_layer(name: str, program: bytes) -> bytes:
    """A tar with one program in the root folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, name, program, 0o755)
    return buffer.getvalue()


def config(image: Image, layers: Sequence[str], machine: str) -> bytes:
    """The image's configuration; `layers`: SHA-256 in hex, lowest first; `machine`: Go's name of the architecture."""
    container = {
        "Env": ["PATH=/bin", "HOME=/tmp"],
        "Entrypoint": list(image.entrypoint) or None,
        "Cmd": list(image.command) or None,
        "WorkingDir": "/",
    }
    return json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "created": EPOCH,
            "config": {key: value for key, value in container.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layers]},
            "history": [{"created": EPOCH} for _layer in layers],
        },
        sort_keys=True,
    ).encode()


def archive(base: bytes, programs: dict[str, bytes], machine: str) -> bytes:
    """A docker-archive with every image of IMAGES; all share `base`, `programs` maps a program to its layer's tar."""
    buffer = io.BytesIO()
    digests = {name: hashlib.sha256(layer).hexdigest() for name, layer in {"": base, **programs}.items()}
    manifest = []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, layer in {"": base, **programs}.items():
            _add(tar, f"{digests[name]}.tar", layer)
        for name, image in IMAGES.items():
            layers = [digests[layer] for layer in ("", *image.programs)]
            _add(tar, f"{name}.json", config(image, layers, machine))
            files = [f"{digest}.tar" for digest in layers]
            manifest.append({"Config": f"{name}.json", "RepoTags": [reference(name)], "Layers": files})
        _add(tar, "manifest.json", json.dumps(manifest, sort_keys=True).encode())
    return buffer.getvalue()


def build(busybox: Path, binaries: dict[str, Path], folder: Path) -> Path:
    """The archive of all images, made once per busybox and set of programs and kept in `folder`.

    Raises ClusterError when busybox is not a static program.
    """
    program = busybox.read_bytes()
    if not is_static(program):
        raise ClusterError(f"{busybox} is not statically linked: install the package busybox-static")
    target = folder / f"images-{fingerprint([('busybox', program)], [RECIPE])}.tar"
    if target.exists():
        return target
    say("making the container images")
    applets = run([busybox, "--list"]).stdout.split()
    names = sorted({name for image in IMAGES.values() for name in image.programs})
    layers = {name: program_layer(name, binaries[name].read_bytes()) for name in names}
    temporary = folder / f".images.{os.getpid()}"
    temporary.write_bytes(archive(base_layer(program, applets), layers, architecture()))
    return temporary.replace(target)


def load(paths: Paths, tar: Path) -> None:
    """Hand the images to the cluster's containerd, which must be answering."""
    run(["ctr", "--address", paths.containerd_socket, "--namespace", NAMESPACE, "images", "import", tar])
