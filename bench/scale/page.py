"""Write result files, and render README.md from them: ``python -m bench.scale.page``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench import results as results_of
from bench.results import Results, counted, finish
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE = HERE / "README.md"
SCRIPTS = ("throughput", "faults")
LAB = 100
"""Servers of the projection."""


def conclude(name: str, results: Results, *, save: bool) -> None:
    """Print the results of a script, save them if asked to, and end with status 1 if there were problems."""
    results = counted(results)
    click.echo(json.dumps(results, indent=1))
    if save:
        results_of.save(HERE, name, results)
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), load()), encoding="utf-8")
    finish(results)


def load() -> dict[str, Results]:
    """Return the latest results of each script."""
    return results_of.load(HERE, SCRIPTS)


def stores(results: dict[str, Results]) -> str:
    """Return a table of one server with each store, without nginx."""
    direct = results["throughput"]["direct"]
    rows = []
    for case, sqlite in direct["sqlite"].items():
        postgres = direct["postgresql"][case]
        rows.append(
            (
                case,
                f"{sqlite['p50, ms']:.2f} / {sqlite['p95, ms']:.2f}",
                f"{postgres['p50, ms']:.2f} / {postgres['p95, ms']:.2f}",
                f"{sqlite['servers, CPU us a step']:.0f}",
                f"{postgres['servers, CPU us a step']:.0f}",
                f"{postgres['PostgreSQL, CPU us a step']:.0f}",
            )
        )
    head = "transport, connections | SQLite: p50 / p95, ms | PostgreSQL: p50 / p95, ms"
    return table(f"{head} | SQLite: server CPU, us a step | PostgreSQL: server CPU | of PostgreSQL itself", rows)


def replicas(results: dict[str, Results]) -> str:
    """Return a table of one to three servers behind nginx."""
    rows = []
    for count, cases in results["throughput"]["behind"].items():
        for case, found in cases.items():
            cpu = (f"{found[f'{name}, CPU us a step']:.0f}" for name in ("servers", "nginx", "PostgreSQL"))
            waiting = f"{found['p50, ms']:.1f} / {found['p95, ms']:.1f}"
            rows.append((count, case, f"{found['steps a second']:,.0f}", waiting, *cpu))
    head = "servers | transport, connections | steps a second | p50 / p95, ms"
    return table(f"{head} | server CPU, us a step | nginx | PostgreSQL", rows)


def faults(results: dict[str, Results]) -> str:
    """Return a table of the events."""
    found = results["faults"]
    rows = []
    for name, stage in found["stages"].items():
        figures = "; ".join(f"{what} {seconds:.2f}" for what, seconds in stage["figures"].items())
        rows.append((name, f"{stage['acknowledged meanwhile']:,}", figures))
    counts = {**found["counts"], "acknowledged and lost, or changed": found["problems"]}
    events = table("event | requests acknowledged meanwhile | seconds", rows)
    return events + "\n" + table("what | count", ((name, f"{count:,}") for name, count in counts.items()))


def told(results: dict[str, Results]) -> str:
    """Return what interrupted clients were told."""
    stages = results["faults"]["stages"].items()
    rows = ((name, f"{count:,}", text) for name, stage in stages for text, count in stage["told"].items())
    return table("event | clients | what they were told", rows)


def projection(results: dict[str, Results]) -> str:
    """Return what a hundred servers would need, from the CPU time of a step with 64 connections on one server."""
    found = results["throughput"]["behind"]["1"]
    rows = []
    for case in ("websocket, 64", "http, 64"):
        server, nginx, database = (found[case][f"{name}, CPU us a step"] for name in ("servers", "nginx", "PostgreSQL"))
        each = 1e6 / server
        rows.append(
            (
                case,
                f"{each:,.0f}",
                f"{LAB * each:,.0f}",
                f"{LAB * database / server:.0f}",
                f"{LAB * nginx / server:.0f}",
            )
        )
    return table(
        f"case | steps a second of one server on a core | of {LAB} servers | cores of PostgreSQL | cores of nginx", rows
    )


PARTS = {"stores": stores, "replicas": replicas, "faults": faults, "told": told, "projection": projection}


def rendered(text: str, results: dict[str, Results]) -> str:
    """Return the page with the parts between its marks made from the results."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]](results)}{found[3]}", text)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), load()), encoding="utf-8")
