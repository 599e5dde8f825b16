"""The files in deploy/: they agree with settings, Dockerfile and manifest, and conform to their schemas."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from bench.image.checks import resources
from dataselect_env import __version__
from dataselect_env.server.settings import ENV_PREFIX, Settings
from tests.helpers.serving import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IMAGE = f"dataselect-env:{__version__}"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
OBJECTS: dict[str, dict[str, Any]] = {
    found["kind"]: found for found in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
}
DEPLOYMENT = OBJECTS["Deployment"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
(CONTAINER,) = POD["containers"]
SERVER = COMPOSE["services"]["server"]
NAMES = [f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields]
USER, PORT = (int(found) for found in re.findall(r"^(?:USER|EXPOSE) (\d+)", DOCKERFILE, re.MULTILINE))
UNITS = {"m": 0.001, "M": 1, "Mi": 1, "Gi": 1024}


def amount(text: str) -> float:
    """Return an amount of memory in MB, or of processors."""
    found = re.fullmatch(r"(\d+)(\w*)", text)
    assert found is not None, text
    return int(found[1]) * UNITS.get(found[2], 1)


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Any) -> None:
    variables = set(re.findall(rf"\b{ENV_PREFIX}\w+", path.read_text(encoding="utf-8")))
    assert variables <= set(NAMES)


def test_plain_values_are_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {entry["name"]: entry["value"] for entry in CONTAINER["env"] if "value" in entry}
    secrets = {entry["name"] for entry in CONTAINER["env"] if "valueFrom" in entry}
    given = {name: value for name, value in SERVER["environment"].items() if "${" not in value}
    assert plain == given
    assert {*plain, *secrets} == set(SERVER["environment"])
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    loaded = Settings.load()
    assert loaded.trusted_proxies == "*"
    assert loaded.log_format == "json"


def test_what_the_server_takes_from_the_secret_is_in_it() -> None:
    for entry in CONTAINER["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        if reference:
            assert reference["name"] == OBJECTS["Secret"]["metadata"]["name"]
            assert reference["key"] in OBJECTS["Secret"]["stringData"]


def test_what_compose_substitutes_is_in_the_example() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    example = (DEPLOY / "example.env").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))


def test_the_image_is_this_one_on_its_port_as_its_user() -> None:
    assert SERVER["image"] == CONTAINER["image"].split()[0] == IMAGE
    assert (DEPLOY / SERVER["build"] / "Dockerfile").is_file()
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": PORT}]
    assert {POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"]} == {USER}
    assert f"server:{PORT} " in (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")


def test_the_root_file_system_is_read_only_and_nothing_is_privileged() -> None:
    folder = re.findall(r"\bTMPDIR=(\S+)", DOCKERFILE)
    context = CONTAINER["securityContext"]
    assert SERVER["read_only"] is context["readOnlyRootFilesystem"] is True
    assert SERVER["tmpfs"] == [mount["mountPath"] for mount in CONTAINER["volumeMounts"]] == folder
    assert SERVER["cap_drop"] == context["capabilities"]["drop"] == ["ALL"]
    assert SERVER["security_opt"] == ["no-new-privileges:true"]
    assert context["allowPrivilegeEscalation"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True


def test_limits_are_what_the_manifest_declares() -> None:
    declared = resources()
    limits = CONTAINER["resources"]["limits"]
    compose = SERVER["deploy"]["resources"]["limits"]
    assert amount(limits["memory"]) == amount(compose["memory"]) == declared["memory_mb"]
    assert float(limits["cpu"]) == float(compose["cpus"]) == declared["cpu"]
    assert amount(POD["volumes"][0]["emptyDir"]["sizeLimit"]) == declared["disk_mb"]


def test_a_stop_has_the_time_it_needs() -> None:
    needed = Settings.model_fields["stop_timeout"].default
    (pause,) = CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1:]
    assert int(SERVER["stop_grace_period"].removesuffix("s")) > needed
    assert POD["terminationGracePeriodSeconds"] > needed + int(pause)


def test_probes_ask_what_needs_no_token() -> None:
    paths = {name: CONTAINER[name]["httpGet"]["path"] for name in CONTAINER if name.endswith("Probe")}
    assert paths == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    assert "GET /ready" in (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")


def test_labels_match_and_a_disruption_leaves_servers() -> None:
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    for spec in (DEPLOYMENT, OBJECTS["PodDisruptionBudget"]["spec"]):
        assert spec["selector"]["matchLabels"] == labels
    assert DEPLOYMENT["replicas"] == SERVER["deploy"]["replicas"] == 3
    assert 1 < OBJECTS["PodDisruptionBudget"]["spec"]["minAvailable"] < DEPLOYMENT["replicas"]


def test_no_variable_of_a_service_looks_like_a_setting() -> None:
    variable = OBJECTS["Service"]["metadata"]["name"].upper().replace("-", "_")
    assert not f"{variable}_SERVICE_HOST".startswith(ENV_PREFIX)
    assert POD["enableServiceLinks"] is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("check_jsonschema", ["--builtin-schema", "vendor.compose-spec", "compose.yaml"]),
        ("kubernetes_validate", ["--strict", "kubernetes.yaml"]),
    ],
)
def test_files_conform_to_their_schemas(tool: str, arguments: list[str]) -> None:
    pytest.importorskip(tool, reason="of the extra dev")
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_balancer_reads_its_configuration() -> None:
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if haproxy is None:
        pytest.skip("haproxy is not installed")
    done = subprocess.run(
        [haproxy, "-c", "-f", str(DEPLOY / "haproxy.cfg")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
