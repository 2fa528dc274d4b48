"""The keys that deploy/README.md makes are those that the manifests mount and the services read."""

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from codebase import text
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from igstats_audit.config import MonitorConfig
from igstats_audit.monitor.heads import Keys
from igstats_audit.note import NoteSigner
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from manifests import container, environment, of_kind, pod, rendered

MANIFESTS = rendered()
DEPLOYMENTS = {manifest["metadata"]["name"]: manifest for manifest in of_kind(MANIFESTS, "Deployment")}
FOLDER = PurePosixPath("/run/igstats/keys")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    (program,) = re.findall(r"```python\n(.*?)```", text("deploy/README.md"), re.DOTALL)
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, timeout=60)
    return folder


def wanted(name: str) -> set[tuple[str, ...]]:
    """Files that a deployment's settings name, each with the secrets that may hold it."""
    (volume,) = [one for one in pod(DEPLOYMENTS[name])["volumes"] if one["name"] == "keys"]
    secrets = tuple(source["secret"]["name"] for source in volume["projected"]["sources"])
    assert str(FOLDER) in {mount["mountPath"] for mount in container(DEPLOYMENTS[name])["volumeMounts"]}
    paths = map(PurePosixPath, environment(DEPLOYMENTS[name], MANIFESTS).values())
    return {(path.name, *secrets) for path in paths if path.parent == FOLDER}


@pytest.mark.parametrize("name", ["audit", "gateway", "privacy", "stats"])
def test_every_key_that_a_service_reads_is_made_into_one_secret_that_it_mounts(name: str, made: Path) -> None:
    for file, *secrets in wanted(name):
        assert sum((made / secret / file).is_file() for secret in secrets) == 1, file


def test_the_monitor_of_the_logs_can_sign_none(made: Path) -> None:
    (volume,) = [one for one in pod(DEPLOYMENTS["audit-monitor"])["volumes"] if one["name"] == "keys"]
    sources = [source["secret"] for source in volume["projected"]["sources"]]
    files = {file.name for one in sources if "items" not in one for file in (made / one["name"]).iterdir()}
    files |= {item["key"] for one in sources for item in one.get("items", [])}
    assert files == {"receipt.pem", "seal.key", "log.vkeys", "suppression.key", "access-seal.key"}
    told = environment(DEPLOYMENTS["audit-monitor"], MANIFESTS)
    assert PurePosixPath(told["IGSTATS_AUDIT_LOG_VERIFIER_KEYS"]) == FOLDER / "log.vkeys"
    assert not [name for name in MonitorConfig.model_fields if name.endswith(("_log_key", "_log_mldsa_key"))]


def test_keys_are_of_the_kind_that_their_readers_want_and_for_their_owner_only(made: Path) -> None:
    files = [path for path in made.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".vkeys":
            for log in ("evidence", "access"):
                folder = made / "audit-keys"
                signer = NoteSigner(
                    f"api.example.com/log/{log}",
                    (folder / f"{log}-log.pem").read_bytes(),
                    (folder / f"{log}-log-mldsa.pem").read_bytes(),
                )
                assert Keys.among(content.decode(), signer.name).verifier_keys == signer.verifier_keys
        elif path.name.endswith("-mldsa.pem"):
            assert isinstance(load_pem_private_key(content, password=None), MLDSA44PrivateKey)
        elif path.suffix == ".pem":
            assert Signer(content).key_id
        else:
            assert Sealer(content).open(Sealer(content).seal(b"x", "y"), "y") == b"x"
