"""The manifests are valid, and every pod is as closed as it can be."""

import shutil

import kubernetes_validate
import pytest
from igstats_audit.config import AuditConfig
from igstats_kit import server
from manifests import NO_KUBECTL, OVERLAY, Manifest, container, environment, kustomized, name, of_kind, pod, rendered

VERSIONS = ("1.34", str(kubernetes_validate.latest_version()))
SERVICES = ("audit", "gateway", "privacy", "stats")
DRAIN_SECONDS = 20  # lifecycle: RPCs 10 s, closing hooks a few more
MANIFESTS = rendered()
WORKLOADS = of_kind(MANIFESTS, "Deployment", "Job")
DEPLOYMENTS = of_kind(MANIFESTS, "Deployment")
MONITOR = "audit-monitor"
SERVERS = [found for found in DEPLOYMENTS if found["metadata"]["name"] != MONITOR]


def service_of(workload: Manifest) -> str:
    """The service whose image a workload runs."""
    found: str = workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
    return found


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def mounted(workload: Manifest) -> set[str]:
    return {mount["mountPath"] for mount in container(workload)["volumeMounts"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason=NO_KUBECTL)
def test_the_overlay_renders_into_one_namespace() -> None:
    namespaced = [manifest for manifest in kustomized(OVERLAY) if manifest["kind"] != "Namespace"]
    assert {manifest["metadata"]["namespace"] for manifest in namespaced} == {"igstats-dev"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=name)
def test_a_manifest_fits_the_schema_of_kubernetes(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("kind", ["Deployment", "Job", "Service", "ServiceAccount", "PodDisruptionBudget"])
def test_every_service_has_one_of_each(kind: str) -> None:
    names = {manifest["metadata"]["name"].removesuffix("-migration") for manifest in of_kind(MANIFESTS, kind)}
    inside = {"Service": {"gateway-internal"}, "Deployment": {MONITOR}}.get(kind, set())
    assert names == set(SERVICES) | inside


def test_the_public_service_of_the_gateway_does_not_open_its_inner_port() -> None:
    ports = {front["metadata"]["name"]: front["spec"]["ports"] for front in of_kind(MANIFESTS, "Service")}
    assert 7443 not in [port["port"] for port in ports["gateway"]]
    assert [port["port"] for port in ports["gateway-internal"]] == [7443]


def test_the_namespace_admits_restricted_pods_only() -> None:
    (namespace,) = of_kind(MANIFESTS, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("workload", WORKLOADS, ids=name)
def test_a_pod_has_no_privilege(workload: Manifest) -> None:
    security = pod(workload)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_no_start_of_a_pod_opens_what_a_volume_keeps_to_the_group() -> None:
    keeping = [one for one in WORKLOADS if any("persistentVolumeClaim" in volume for volume in pod(one)["volumes"])]
    assert {service_of(workload) for workload in keeping} == {"audit"}
    assert {pod(workload)["securityContext"]["fsGroupChangePolicy"] for workload in keeping} == {"OnRootMismatch"}


@pytest.mark.parametrize("workload", WORKLOADS, ids=name)
def test_a_pod_has_an_account_of_its_own_and_no_token(workload: Manifest) -> None:
    accounts = {account["metadata"]["name"]: account for account in of_kind(MANIFESTS, "ServiceAccount")}
    service = service_of(workload)
    assert pod(workload)["serviceAccountName"] == service
    assert pod(workload)["automountServiceAccountToken"] is False
    assert accounts[service]["automountServiceAccountToken"] is False


def test_the_cache_of_tiles_ends_well_before_its_pod_is_evicted_for_it() -> None:
    """A fifth is for folders and for what the file system needs itself."""
    [audit] = [one for one in WORKLOADS if one["metadata"]["name"] == "audit"]
    [cache] = [volume["emptyDir"] for volume in pod(audit)["volumes"] if volume["name"] == "tiles"]
    limit = AuditConfig.model_fields["tile_megabytes"].default
    assert limit * 1.2 < int(cache["sizeLimit"].removesuffix("Gi")) * 1024


@pytest.mark.parametrize("workload", WORKLOADS, ids=name)
def test_a_pod_says_what_it_needs_and_where_it_may_write(workload: Manifest) -> None:
    resources = container(workload)["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    writable = {volume["name"]: volume["emptyDir"] for volume in pod(workload)["volumes"] if "emptyDir" in volume}
    limits = {name: volume["sizeLimit"] for name, volume in writable.items()}
    tiles = {"tiles": "1Gi"} if service_of(workload) == "audit" and workload["metadata"]["name"] != MONITOR else {}
    assert limits == {"tmp": "64Mi"} | tiles
    assert {volume["name"] for volume in pod(workload)["volumes"]} == {
        mount["name"] for mount in container(workload)["volumeMounts"]
    }


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name)
def test_probes_use_the_plaintext_health_port_and_liveness_asks_for_no_dependency(deployment: Manifest) -> None:
    service = service_of(deployment)
    health = port(environment(deployment, MANIFESTS)[f"IGSTATS_{service.upper()}_HEALTH_LISTEN"])
    found = container(deployment)
    assert found["startupProbe"]["grpc"] == found["readinessProbe"]["grpc"] == {"port": health}
    assert found["livenessProbe"]["grpc"] == {"port": health, "service": server.LIVE}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name)
def test_the_ports_of_a_container_are_those_it_is_told_to_listen_on(deployment: Manifest) -> None:
    variables = environment(deployment, MANIFESTS)
    told = {port(value) for variable, value in variables.items() if variable.endswith("LISTEN")}
    assert {entry["containerPort"] for entry in container(deployment)["ports"]} == told


@pytest.mark.parametrize("deployment", SERVERS, ids=name)
def test_a_rollout_takes_nothing_away_before_its_successor_is_ready(deployment: Manifest) -> None:
    spec = deployment["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pause = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(deployment)["terminationGracePeriodSeconds"] > pause + DRAIN_SECONDS


@pytest.mark.parametrize("deployment", SERVERS, ids=name)
def test_replicas_spread_over_zones_and_nodes(deployment: Manifest) -> None:
    constraints = pod(deployment)["topologySpreadConstraints"]
    assert {found["topologyKey"] for found in constraints} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert all(found["labelSelector"]["matchLabels"] == selector for found in constraints)


@pytest.mark.parametrize("service", SERVICES)
def test_selectors_find_the_servers_of_the_service_and_never_its_migration(service: str) -> None:
    labels = {"app.kubernetes.io/name": service, "app.kubernetes.io/component": "server"}
    named = [found for found in MANIFESTS if found["metadata"]["name"] == service]
    (deployment,) = of_kind(named, "Deployment")
    (budget,) = of_kind(named, "PodDisruptionBudget")
    (front,) = of_kind(named, "Service")
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert front["spec"]["selector"] == labels


@pytest.mark.parametrize("service", SERVICES)
def test_a_migration_gets_the_settings_and_secrets_of_its_service(service: str) -> None:
    (server_of,) = [found for found in DEPLOYMENTS if found["metadata"]["name"] == service]
    (job,) = [found for found in of_kind(MANIFESTS, "Job") if found["metadata"]["name"] == f"{service}-migration"]
    assert container(job)["args"] == ["migrate"]
    assert container(job)["image"] == container(server_of)["image"]
    assert environment(job, MANIFESTS) == environment(server_of, MANIFESTS)
    assert pod(job)["volumes"] == pod(server_of)["volumes"]
    assert mounted(job) == mounted(server_of)


def test_the_monitor_is_audit_with_another_argument_and_a_memory_of_its_own() -> None:
    (watching,) = [found for found in DEPLOYMENTS if found["metadata"]["name"] == MONITOR]
    (server_of,) = [found for found in DEPLOYMENTS if found["metadata"]["name"] == "audit"]
    told, folder = environment(watching, MANIFESTS), "IGSTATS_AUDIT_MONITOR_DIRECTORY"
    own = {folder, "IGSTATS_AUDIT_LOG_VERIFIER_KEYS"}
    assert container(watching)["args"] == ["monitor"]
    assert container(watching)["image"] == container(server_of)["image"]
    assert {name: value for name, value in told.items() if name not in own} == environment(server_of, MANIFESTS)
    assert watching["spec"]["replicas"] == 1
    assert watching["spec"]["strategy"] == {"type": "Recreate"}
    (mount,) = [one for one in container(watching)["volumeMounts"] if told[folder].startswith(one["mountPath"])]
    (volume,) = [one for one in pod(watching)["volumes"] if one["name"] == mount["name"]]
    others = [found for found in WORKLOADS if found is not watching]
    assert [found["metadata"]["name"] for found in others if volume in pod(found)["volumes"]] == []
