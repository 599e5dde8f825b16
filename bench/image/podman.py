"""Build and run images with podman, in storage that is removed afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("podman", "runc", "iptables", "debootstrap")
BUILD_TIME = 1_577_836_800
"""Time of every file in the image, in seconds since 1970: two builds on different days give the same layers."""
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
"""Limits that need no privilege; the defaults may be above those of this process."""
Json = dict[str, Any]


class Missing(Exception):
    """There is no podman and no way to install it."""


def install() -> None:
    """Install podman with apt where it is missing.

    Raises:
        Missing: It cannot be installed.
    """
    if shutil.which("podman"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing("podman is missing, and only root can install it, with apt")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"podman is missing, and apt cannot install it: {done.stderr.strip().splitlines()[-1]}")


@dataclass(frozen=True)
class Podman:
    """podman with storage in one folder.

    Attributes:
        folder: Images and containers.
    """

    folder: Path

    def __call__(self, *arguments: str, timeout: float = 600) -> str:
        """Run a command and return what it printed.

        Raises:
            AssertionError: The command failed; the message has the end of what it printed.
        """
        runtime = ("--runtime", "runc") if shutil.which("runc") else ()  # crun refuses mixed versions of cgroups
        storage = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        done = subprocess.run(
            ["podman", *storage, *runtime, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"podman {arguments[0]}: {(done.stdout + done.stderr)[-2000:]}")
        return done.stdout.strip()

    def build(self, context: Path, tag: str, *, base: str, cached: bool) -> None:
        """Build the Dockerfile in ``context`` on ``base``, from the layers of earlier builds if ``cached``."""
        cache = "--layers" if cached else "--no-cache"
        fixed = ("--format", "docker", "--timestamp", str(BUILD_TIME))  # OCI's format has no health checks
        network = ("--network", "host")
        self("build", cache, *fixed, *network, *LIMITS, "--from", base, "--tag", tag, str(context))

    def inspect(self, name: str) -> Json:
        """Return what podman knows about an image or a container."""
        found: list[Json] = json.loads(self("inspect", name))
        return found[0]

    def layers(self, tag: str) -> list[Json]:
        """Return instruction, size in bytes and digest of every layer that holds files, the base's first."""
        steps = json.loads(self("history", "--no-trunc", "--format", "json", tag))
        made = [(step["CreatedBy"].removeprefix("/bin/sh -c ").removeprefix("#(nop) "), step["size"]) for step in steps]
        filled = [(instruction, size) for instruction, size in reversed(made) if size]
        digests = self.inspect(tag)["RootFS"]["Layers"]
        return [
            {"instruction": " ".join(instruction.split()), "bytes": size, "digest": digest}
            for (instruction, size), digest in zip(filled, digests, strict=True)
        ]

    @contextmanager
    def running(self, tag: str, *options: str) -> Iterator[str]:
        """Run an image with a read-only root file system and without privileges; yield the container's name."""
        name = self(
            "run",
            "--detach",
            *LIMITS,
            *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp"),  # noqa: S108  (in the container)
            *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
            *options,
            tag,
        )
        try:
            yield name
        finally:
            self("rm", "--force", name)


@contextmanager
def storage() -> Iterator[Podman]:
    """Yield podman with empty storage, and remove everything that it holds afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    podman = Podman(folder)
    try:
        yield podman
    finally:
        podman("rm", "--all", "--force")
        podman("rmi", "--all", "--force")
        shutil.rmtree(folder)
