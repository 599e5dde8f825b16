"""Render README.md of this folder from the last results: ``python -m bench.image.page``."""

from __future__ import annotations

import json
from pathlib import Path

from bench.image.podman import Json
from docs.render import MARKED, table

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "image.json", HERE / "README.md"
NO_DIGEST = 60
"""Longest instruction that a row shows."""


def megabytes(size: int) -> str:
    """Return a size in MB (1,000,000 bytes)."""
    return f"{size / 1e6:.1f} MB"


def layers(results: Json) -> str:
    """Return every layer with its size, the base's first."""
    rows = [("the base", megabytes(results["base_bytes"]))]
    rows += [(f"`{layer['instruction'][:NO_DIGEST]}`", megabytes(layer["bytes"])) for layer in results["layers"][1:]]
    return table("layer | size", [*rows, ("**added to the base**", megabytes(results["added_bytes"]))])


def checked(results: Json) -> str:
    """Return what was checked and found."""
    inside, served, changed = results["inside"], results["served"], results["changed_line"]
    limits, builds, validated = inside["limits"], results["two_builds"], served["openenv_validate"]
    steps = sum(episode["steps"] for episode in served["episodes"].values())
    rows = (
        ("two builds without cache", f"{builds['layers']} layers and the configuration are the same, bit for bit"),
        ("a changed line of code", f"{changed['new_layers']} new layers, {megabytes(changed['new_bytes'])}"),
        ("user and groups", inside["status"]["Uid"].split()[0]),
        ("folders that can be written", ", ".join(f"`{path}`" for path in inside["writable"])),
        ("capabilities", "none" if int(inside["status"]["CapBnd"], 16) == 0 else inside["status"]["CapBnd"]),
        (
            f"every task without a network, within {limits['memory_mb']} MB and {limits['cpu']:g} CPU",
            f"{len(inside['scores'])} episodes played and graded, no other host in reach",
        ),
        (
            "every task through the published port",
            f"{len(served['episodes'])} episodes over HTTP and again over WebSocket, {steps} steps each: the same",
        ),
        ("`openenv validate --url`", f"{validated['passed']} of {validated['criteria']} criteria passed"),
        ("compiler, build backend or wheel in the image", ", ".join(inside["build tools"]) or "none"),
        ("loaded modules without bytecode", len(inside["uncompiled"])),
        ("stopped with SIGTERM", f"status {served['exit_code']}"),
    )
    return table("what | found", rows)


def packages(results: Json) -> str:
    """Return what is installed beside the base's own Python packages."""
    installed = sorted(results["inside"]["packages"].items(), key=lambda one: one[0].lower())
    return ", ".join(f"{name} {version}" for name, version in installed) + "\n"


def origin(results: Json) -> str:
    """Return the base, the versions and the machine."""
    base, made, machine = results["base"], results["versions"], results["machine"]
    used = "the pinned one" if base["used"] == base["pinned"] else "a stand-in, because no registry could be reached"
    where = f"{machine['cores']} cores of {machine['processor']}, {machine['system']}"
    rows = [(used, results["inside"]["python"], f"{made['package']}, dynamics {made['dynamics']}", where)]
    return table("base | Python | version | machine | took", [(*rows[0], f"{results['seconds']} s")])


RENDERERS = {"layers": layers, "checked": checked, "packages": packages, "origin": origin}


def tables(results: Json) -> str:
    """Return all tables."""
    return "\n".join(render(results) for render in RENDERERS.values())


def load() -> Json:
    """Return the last results."""
    found: Json = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def rendered(text: str, results: Json) -> str:
    """Return the page with up-to-date tables."""
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]](results)}{found[3]}", text)


def write() -> None:
    """Render the page in place."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), load()), encoding="utf-8")


if __name__ == "__main__":
    write()
