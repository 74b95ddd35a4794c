"""What the files of docs/how-to/deploy/ say, without starting anything."""

from __future__ import annotations

import pytest
import yaml

from ops_pipeline.contract.files import package_path
from ops_pipeline_tests.served.deployment import UNITS, exec_start

NAMES = sorted(path.stem.removeprefix("ops-pipeline-") for path in UNITS.glob("*.service"))


def test_there_is_a_unit_for_each_process_of_the_page() -> None:
    assert NAMES == ["code", "daemon", "readonly", "webserver"]
    page = (UNITS.parent / "deploy.md").read_text()
    assert all(f"ops-pipeline-{name}" in page for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_process_has_no_more_rights_than_it_needs_and_listens_on_loopback_alone(name: str) -> None:
    unit = (UNITS / f"ops-pipeline-{name}.service").read_text().splitlines()
    assert {"User=ops-pipeline", "NoNewPrivileges=true", "ProtectSystem=strict", "UMask=0077"} <= set(unit)
    assert ("--host 127.0.0.1" in exec_start(name)) is (name != "daemon")
    assert ("--read-only" in exec_start(name)) is (name == "readonly")


def test_web_servers_and_daemon_ask_the_code_server() -> None:
    (location,) = yaml.safe_load((UNITS / "workspace.yaml").read_text())["load_from"]
    asked = location["grpc_server"]
    assert f"--host {asked['host']} --port {asked['port']} " in exec_start("code")
    assert asked["location_name"] == "ops_pipeline"


def test_kubernetes_has_the_same_instance_with_a_launcher() -> None:
    ours = package_path("dagster.yaml").read_text()
    settings = yaml.safe_load(ours + (UNITS / "run_launcher.yaml").read_text())
    assert settings == yaml.safe_load(ours) | {"run_launcher": settings["run_launcher"]}
    values = yaml.safe_load((UNITS / "values.yaml").read_text())
    (code,) = values["dagster-user-deployments"]["deployments"]
    launcher = settings["run_launcher"]["config"]
    for process in (code, values["dagsterWebserver"], values["dagsterDaemon"]):
        (volume,) = process["volumes"]
        assert volume["configMap"]["name"] == launcher["instance_config_map"]
        assert process["env"] == [{"name": "DAGSTER_HOME", "value": launcher["dagster_home"]}]
        assert process["volumeMounts"][0]["mountPath"] == f"{launcher['dagster_home']}/dagster.yaml"
