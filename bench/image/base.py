"""The base of the image: the one that the Dockerfile pins, or a stand-in where no registry can be reached."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.image.podman import Podman

STAND_IN = "localhost/stand-in"
RELEASE = "bookworm"
INCLUDED = "python3,python3-dev,python3-pip,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def pinned(dockerfile: str) -> str:
    """Return the base that a Dockerfile's first stage names."""
    found = re.search(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert found is not None, "the Dockerfile names no base"
    return found[1]


def fetch(podman: Podman, name: str) -> str:
    """Return the base to build on: ``name`` if a registry has it for us, otherwise a new stand-in."""
    try:
        podman("pull", name, timeout=300)
    except (AssertionError, subprocess.TimeoutExpired):
        make_stand_in(podman)
        return STAND_IN
    return name


def make_stand_in(podman: Podman) -> None:
    """Import an image of Debian's own Python, from the archive that this machine's apt uses.

    It has what the official image has for our purposes: the same release of Debian, ``python`` and ``pip`` of the same
    minor version, and headers. Certificates are this machine's, which may stand behind a proxy.
    """
    folder = podman.folder / "stand-in"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", RELEASE, str(folder), archive()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    (folder / "usr/bin/python").symlink_to("python3")
    for marker in folder.glob("usr/lib/python3.*/EXTERNALLY-MANAGED"):
        marker.unlink()
    shutil.copy(os.environ.get("SSL_CERT_FILE", CERTIFICATES), folder / CERTIFICATES.relative_to("/"))
    packed = podman.folder / "stand-in.tar"
    subprocess.run(["tar", "--directory", str(folder), "--create", "--file", str(packed), "."], check=True)
    podman("import", str(packed), STAND_IN)
    packed.unlink()
    shutil.rmtree(folder)


def archive() -> str:
    """Return the address of Debian's archive in this machine's apt sources."""
    fields = "$(SITE) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", fields, "Identifier: Packages"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    sites = [line.split()[0] for line in lines if line.split()[1:] == [RELEASE, "main"]]
    assert sites, f"apt's sources do not name Debian's {RELEASE}"
    return sites[0]
