"""Build the image of the Dockerfile, run it, and check what docs/deploy.md says about it.

    python -m bench.image --save

It needs podman, which it installs as root where apt has it. It ends with status 0 and a sentence where podman cannot be
had, and with status 1 if a check fails.
"""

from __future__ import annotations

import json
from time import perf_counter

import click

from bench.image import base, checks, page
from bench.image.podman import Json, Missing, Podman, install, storage
from bench.reliability.process import about_this_run
from tests.helpers.checkout import copy_checkout


def measure(podman: Podman) -> Json:
    """Build, run and compare; return what was found."""
    context = copy_checkout(podman.folder / "context")
    pinned = base.pinned((context / "Dockerfile").read_text(encoding="utf-8"))
    found = base.fetch(podman, pinned)
    for tag in ("first", "second"):
        click.echo(f"build without cache: {tag}")
        podman.build(context, tag, base=found, cached=False)
    layers = podman.layers("first")
    click.echo("run, play, validate, stop")
    return {
        "base": {"pinned": pinned, "used": pinned if found == pinned else "stand-in"},
        **checks.size(layers),
        "two_builds": checks.same(podman, "first", "second"),
        "inside": checks.within(podman, "first"),
        "served": checks.serve(podman, "first"),
        "changed_line": checks.change(podman, context, base=found, before=layers),
    }


@click.command()
@click.option("--save", is_flag=True, help="Write the results, and the page from them.")
def main(*, save: bool) -> None:
    """Build the image twice, run it, and check it."""
    begun = perf_counter()
    try:
        install()
    except Missing as reason:
        click.echo(f"No image was built: {reason}.")
        return
    with storage() as podman:
        found = measure(podman)
    results = {**about_this_run(perf_counter() - begun), **found}
    click.echo(page.tables(results))
    if save:
        page.RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        page.write()


if __name__ == "__main__":
    main()
