"""The tests mirror the package: a module's tests stand in its wing's folder, under its name."""

from __future__ import annotations

from tests.helpers.serving import ROOT

ELSEWHERE = {
    "cli/agents_command": "cli/test_agents",
    # Modules without a file of tests under their own name, and where they are tested.
    "__main__": "cli/test_cli",
    "cli/asking": "cli/test_curate",
    "cli/chats_command": "cli/test_chats",
    "cli/console": "cli/test_cli",
    "cli/curate_command": "cli/test_curate",
    "cli/curate_input": "cli/test_curate",
    "cli/evaluate_command": "cli/test_evaluate",
    "cli/ladder": "cli/test_evaluate",
    "cli/public_keys": "cli/test_verify",
    "cli/task_options": "cli/test_custom",
    "cli/tasks_command": "cli/test_custom",
    "cli/verify_command": "cli/test_verify",
    "client": "integrations/test_openenv_client",
    "core/env": "test_env",
    "core/results": "core/test_episode_batch",
    "core/selection": "core/test_episode",
    "core/strategies/candidates": "core/strategies/test_filters",
    "core/strategies/clustering": "core/strategies/test_registry",
    "core/strategies/evidence": "core/strategies/test_filters",
    "core/strategies/rankings": "core/strategies/test_registry",
    "core/validation": "core/test_models",
    "curation/checks": "curation/test_curating",
    "curation/model": "curation/test_comparison",
    "curation/picture": "curation/test_report",
    "custom/calibration": "custom/test_sources",
    "custom/columns": "custom/test_tables",
    "custom/errors": "custom/test_task_file",
    "custom/features": "custom/test_tables",
    "custom/formats/opened": "custom/formats/test_files",
    "custom/formats/text": "custom/formats/test_files",
    "custom/labels": "custom/test_tables",
    "custom/splitting": "custom/test_sources",
    "evaluation/ladder": "evaluation/test_evaluate",
    "evaluation/line_file": "evaluation/test_evaluate",
    "evaluation/workers": "evaluation/test_evaluate",
    "integrations/inspect_task": "bench/test_consumers",  # its library is not among those of the tests
    "integrations/http_requests": "integrations/test_remote_player",
    "integrations/numbers": "integrations/test_remote",
    "integrations/ray_serve": "bench/test_consumers",
    "policies/degenerate": "policies/test_policies",
    "policies/policy": "policies/test_policies",
    "policies/reference": "policies/test_policies",
    "rendering/palette": "rendering/test_plots",
    "server/catalogue": "project/test_manifest",
    "server/leaderboard_views": "server/test_leaderboard_routes",
    "server/mcp/backend": "server/mcp/test_tools",
    "server/replay": "server/test_session",
    "server/store/base": "server/store/test_sqlite",
    "server/store/boards": "server/test_entries",
    "server/store/postgres_boards": "testing/test_stores",
    "server/store/postgres_pool": "server/store/test_postgres",
    "server/store/postgres_retention": "server/store/test_retention",
    "server/store/schema": "server/store/test_sqlite",
    "testing/checked_store": "testing/test_stores",
}


def test_every_module_has_its_tests() -> None:
    package, tests = ROOT / "dataselect_env", ROOT / "tests"
    modules = {path.relative_to(package).with_suffix("").as_posix() for path in package.rglob("*.py")}
    modules = {name for name in modules if not name.endswith("__init__")}
    own = {name for name in modules if (tests / name).with_name(f"test_{name.rpartition('/')[2]}.py").is_file()}
    assert modules - own - ELSEWHERE.keys() == set(), "tests belong under the module's name, or into ELSEWHERE"
    assert ELSEWHERE.keys() - (modules - own) == set(), "these have moved, or have tests under their own name"
    assert [place for place in ELSEWHERE.values() if not (tests / f"{place}.py").is_file()] == []
