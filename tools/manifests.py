"""Reads the Kubernetes manifests of deploy/k8s, rendered by kustomize where kubectl is present."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from codebase import ROOT

BASE = ROOT / "deploy" / "k8s" / "base"
OVERLAY = ROOT / "deploy" / "k8s" / "overlays" / "dev"
NO_KUBECTL = "kubectl is not in PATH: the plain files of the base are checked, the overlay is not"

Manifest = dict[str, Any]


def kustomized(folder: Path) -> list[Manifest]:
    """The objects that `kubectl kustomize` makes of a folder."""
    command = ["kubectl", "kustomize", str(folder)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def plain(folder: Path) -> Iterator[Manifest]:
    """The objects of a folder as written, its config maps included, without anything else that kustomize does."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in plan.get("resources", []):
        path = folder / name
        if path.is_dir():
            yield from plain(path)
        else:
            yield from yaml.safe_load_all(path.read_text())
    for wanted in plan.get("configMapGenerator", []):
        lines = [line for name in wanted.get("envs", []) for line in (folder / name).read_text().split()]
        data = dict(line.split("=", 1) for line in [*lines, *wanted.get("literals", [])])
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": wanted["name"]}, "data": data}


def rendered() -> list[Manifest]:
    """The development overlay, or the plain base where kubectl is missing."""
    return kustomized(OVERLAY) if shutil.which("kubectl") else list(plain(BASE))


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of the given kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def name(manifest: Manifest) -> str:
    """`Kind/name`, for messages."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod(manifest: Manifest) -> Manifest:
    """The pod specification of a deployment or job."""
    found: Manifest = manifest["spec"]["template"]["spec"]
    return found


def container(manifest: Manifest) -> Manifest:
    """The only container of a deployment or job."""
    (found,) = pod(manifest)["containers"]
    result: Manifest = found
    return result


def environment(manifest: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """Variables that the container of a deployment or job gets; those from secrets are written as ${secret/key}."""
    maps = {found["metadata"]["name"]: found["data"] for found in of_kind(manifests, "ConfigMap")}
    variables: dict[str, str] = {}
    for source in container(manifest)["envFrom"]:
        variables |= maps[source["configMapRef"]["name"]]
    for variable in container(manifest)["env"]:
        if "value" in variable:
            variables[variable["name"]] = variable["value"]
            continue
        secret = variable["valueFrom"]["secretKeyRef"]
        variables[variable["name"]] = f"${{{secret['name']}/{secret['key']}}}"
    return variables
