"""Every setting that a service needs is set, no other is, and every file it names is mounted."""

import importlib
import shutil
from pathlib import Path, PurePosixPath

import pytest
from igstats_kit.config import ServiceConfig
from manifests import BASE, Manifest, container, environment, of_kind, pod, rendered
from pydantic.fields import FieldInfo

SERVICES = ("audit", "gateway", "privacy", "stats")
MANIFESTS = rendered()
DEPLOYMENTS = {manifest["metadata"]["name"]: manifest for manifest in of_kind(MANIFESTS, "Deployment")}


def settings(service: str) -> type[ServiceConfig]:
    module = importlib.import_module(f"igstats_{service}.config")
    found: type[ServiceConfig] = getattr(module, f"{service.capitalize()}Config")
    return found


def variable(config: type[ServiceConfig], name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"{config.model_config.get('env_prefix', '')}{name}".upper()


def variables(service: str) -> dict[str, bool]:
    """Every variable that the service reads, and whether it must be set."""
    config = settings(service)
    return {variable(config, name, field): field.is_required() for name, field in config.model_fields.items()}


def folders(deployment: Manifest) -> dict[str, set[str]]:
    """Mount path -> the secrets and config maps mounted there."""
    volumes = {volume["name"]: volume for volume in pod(deployment)["volumes"]}
    return {mount["mountPath"]: secrets(volumes[mount["name"]]) for mount in container(deployment)["volumeMounts"]}


def secrets(volume: Manifest) -> set[str]:
    if "secret" in volume:
        return {volume["secret"]["secretName"]}
    if "persistentVolumeClaim" in volume:
        return {volume["persistentVolumeClaim"]["claimName"]}
    if "configMap" in volume:
        return {volume["configMap"]["name"]}
    sources = volume.get("projected", {}).get("sources", [])
    return {source["secret"]["name"] for source in sources}


@pytest.mark.parametrize("service", SERVICES)
def test_every_required_setting_is_set(service: str) -> None:
    required = {name for name, needed in variables(service).items() if needed}
    assert required - set(environment(DEPLOYMENTS[service], MANIFESTS)) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_is_set_that_the_service_does_not_read(service: str) -> None:
    told = {name for name in environment(DEPLOYMENTS[service], MANIFESTS) if name.startswith("IGSTATS_")}
    assert told - set(variables(service)) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_probes_and_metrics_have_a_port(service: str) -> None:
    told = environment(DEPLOYMENTS[service], MANIFESTS)
    assert {f"IGSTATS_{service.upper()}_HEALTH_LISTEN", f"IGSTATS_{service.upper()}_METRICS_LISTEN"} <= set(told)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_asks_nats_to_prove_that_acknowledged_messages_are_on_disk(service: str) -> None:
    assert environment(DEPLOYMENTS[service], MANIFESTS)["IGSTATS_NATS_MONITOR_URL"] == "http://nats:8222"


def test_streams_are_kept_on_three_servers_but_in_development_on_the_one_that_there_is() -> None:
    shared = dict(line.split("=", 1) for line in (BASE / "shared.env").read_text().split())
    assert shared["IGSTATS_NATS_REPLICAS"] == "3"
    if shutil.which("kubectl"):
        told = [environment(deployment, MANIFESTS)["IGSTATS_NATS_REPLICAS"] for deployment in DEPLOYMENTS.values()]
        assert set(told) == {"1"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_that_a_setting_names_lies_in_a_mounted_secret(service: str) -> None:
    told = environment(DEPLOYMENTS[service], MANIFESTS).items()
    paths = [PurePosixPath(value) for name, value in told if value[0] == "/" and not name.endswith("_TILE_DIRECTORY")]
    mounts = folders(DEPLOYMENTS[service])
    assert paths
    assert [str(path) for path in paths if not mounts.get(str(path.parent))] == []


def test_the_tiles_of_the_logs_lie_in_a_folder_that_may_be_lost() -> None:
    audit = DEPLOYMENTS["audit"]
    folder = PurePosixPath(environment(audit, MANIFESTS)["IGSTATS_AUDIT_TILE_DIRECTORY"])
    mounts = {mount["mountPath"]: mount["name"] for mount in container(audit)["volumeMounts"]}
    (volume,) = [one for one in pod(audit)["volumes"] if one["name"] == mounts[str(folder.parent)]]
    assert "emptyDir" in volume


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_mounts_its_own_secrets_and_the_shared_keys_it_reads_and_nothing_else(service: str) -> None:
    shared = {"igstats-suppression"} | ({"nats-config"} if service == "audit" else set())
    if "IGSTATS_ACCESS_SEAL_KEY" in environment(DEPLOYMENTS[service], MANIFESTS):
        shared.add("igstats-access-seal")
    mounted = set().union(*folders(DEPLOYMENTS[service]).values())
    assert {name for name in mounted if not name.startswith(f"{service}-")} == shared


@pytest.mark.parametrize("service", SERVICES)
def test_addresses_name_a_service_and_the_port_it_serves_on(service: str) -> None:
    fronts = {
        f"{front['metadata']['name']}:{port['port']}"
        for front in of_kind(MANIFESTS, "Service")
        for port in front["spec"]["ports"]
    }
    told = environment(DEPLOYMENTS[service], MANIFESTS)
    addresses = {value for name, value in told.items() if name.endswith("_ADDRESS")}
    addresses |= {one for name, value in told.items() if name.endswith("_ADDRESSES") for one in value.split(",")}
    assert addresses - fronts == set()


def test_only_gateway_and_audit_can_open_the_sealed_client_of_a_call() -> None:
    holders = {name for name in SERVICES if "IGSTATS_ACCESS_SEAL_KEY" in environment(DEPLOYMENTS[name], MANIFESTS)}
    assert holders == {"gateway", "audit"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_accepts_the_settings_it_is_given(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"x")
    for name, value in environment(DEPLOYMENTS[service], MANIFESTS).items():
        given = str(file) if value.startswith("/") else value
        monkeypatch.setenv(name, "postgresql+asyncpg://a:b@c/d" if given.startswith("${") else given)
    assert settings(service).load().service == service
