"""Generates the Python stubs of protos/ and checks the protos with buf.

Usage: gen_protos.py {generate | drift | lint | breaking [BASE]}

`breaking` compares with a git revision: BASE, or the commit that set the current version of igstats-protos.
The generator is pinned apart from the runtime, and old on purpose: stubs made by a new protoc refuse older runtimes.
It runs in an isolated environment of uv's. buf reads a descriptor set, so no schema registry is asked.
"""

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import google.api.annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"
STUBS = SOURCES / "python"
GENERATOR = ("grpcio-tools==1.74.0", "mypy-protobuf==3.6.0", "setuptools<81")
GOOGLE_API = Path(google.api.annotations_pb2.__file__).parents[2]
UV = os.environ.get("UV", "uv")
BUF = str(Path(sys.executable).with_name("buf"))


def validate_descriptors(folder: Path) -> Path:
    """Writes the descriptors of buf/validate, taken from the protovalidate wheel, so that no source is copied."""
    validate = FileDescriptorProto.FromString(bytes(validate_pb.desc().proto.to_binary()))
    known = FileDescriptorSet()
    for name in validate.dependency:
        module = __import__(name.removesuffix(".proto").replace("/", ".") + "_pb2", fromlist=["DESCRIPTOR"])
        module.DESCRIPTOR.CopyToProto(known.file.add())
    known.file.append(validate)
    path = folder / "validate.binpb"
    path.write_bytes(known.SerializeToString())
    return path


def protoc(sources: Path, scratch: Path, *arguments: str) -> None:
    """Runs the pinned protoc over every proto below `sources`."""
    files = sorted(str(path.relative_to(sources)) for path in sources.glob("igstats/**/*.proto"))
    requirements = [part for pin in GENERATOR for part in ("--with", pin)]
    command = [
        *(UV, "run", "--quiet", "--no-project", "--isolated", *requirements, "python", "-m", "grpc_tools.protoc"),
        *(f"--descriptor_set_in={validate_descriptors(scratch)}", f"-I{sources}", f"-I{GOOGLE_API}"),
        *arguments,
        *files,
    ]
    subprocess.run(command, check=True, cwd=ROOT)


def generate(target: Path) -> None:
    """Writes stubs for messages, services and types into `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python")]
        outputs += [f"--{kind}_out=quiet:{target}" for kind in ("mypy", "mypy_grpc")]
        protoc(SOURCES, Path(scratch), *outputs, "buf/validate/validate.proto")
    for folder in {path.parent for path in target.glob("igstats/**/*_pb2.py")}:
        (folder / "__init__.py").touch()
    for folder in {path.parent.parent for path in target.glob("igstats/**/*_pb2.py")}:
        (folder / "__init__.py").touch()
    for idle in target.glob("**/*_pb2_grpc.py"):
        if "class " not in idle.read_text():  # a file of messages only: no service stubs
            idle.unlink()
            idle.with_suffix(".pyi").unlink(missing_ok=True)


def stubs(folder: Path) -> set[str]:
    """Generated files below `folder`."""
    return {str(path.relative_to(folder)) for path in folder.glob("**/*_pb2*") if "__pycache__" not in path.parts}


def stale(fresh: Path) -> list[str]:
    """Committed stubs that differ from the `fresh` ones, are missing, or are left over."""
    made = stubs(fresh)
    _, differing, missing = filecmp.cmpfiles(fresh, STUBS, sorted(made), shallow=False)
    return sorted({*differing, *missing, *(stubs(STUBS) - made)})


def renew() -> None:
    """Brings the committed stubs to what the protos give. Files that stay the same are not touched."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        for package in fresh.glob("**/__init__.py"):
            target = STUBS / package.relative_to(fresh)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        for name in stale(fresh):
            if (fresh / name).exists():
                shutil.copyfile(fresh / name, STUBS / name)
            else:
                (STUBS / name).unlink()


def drift() -> int:
    """Answers 1, and names the files, when the committed stubs are not what the protos give."""
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        found = stale(Path(fresh))
    for name in found:
        print(f"stubs differ from protos: {name} (run make protos)", file=sys.stderr)
    return 1 if found else 0


def image(sources: Path, target: Path) -> Path:
    """Writes a descriptor set with comments, for buf."""
    with tempfile.TemporaryDirectory() as scratch:
        protoc(sources, Path(scratch), "--include_imports", "--include_source_info", f"--descriptor_set_out={target}")
    return target


def buf(command: str, *arguments: str) -> int:
    """Runs buf with the rules of buf.yaml."""
    return subprocess.run([BUF, command, *arguments, "--config", str(ROOT / "buf.yaml")], check=False).returncode


def lint() -> int:
    """Runs buf lint over the protos."""
    with tempfile.TemporaryDirectory() as scratch:
        return buf("lint", str(image(SOURCES, Path(scratch) / "api.binpb")))


def git(*arguments: str) -> bytes:
    """Answers what git prints, nothing when it fails."""
    command = ["git", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True).stdout


def last_promise() -> str:
    """Names the commit that set the current version of igstats-protos: what came with it must not be broken."""
    version = tomllib.loads((STUBS / "pyproject.toml").read_text())["project"]["version"]
    line = f'version = "{version}"'
    return git("log", "-1", "--format=%H", f"-S{line}", "--", "protos/python/pyproject.toml").decode().strip()


def breaking(base: str) -> int:
    """Runs buf breaking against the protos at a git revision. A revision without protos breaks nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        old = Path(scratch) / "old"
        old.mkdir()
        archive = git("archive", base, "protos/igstats") if base else b""
        if not archive:
            print(f"no protos at {base or 'an earlier commit of this version'}: nothing to break")
            return 0
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive, check=True)
        before = image(old / "protos", Path(scratch) / "old.binpb")
        after = image(SOURCES, Path(scratch) / "new.binpb")
        return buf("breaking", str(after), "--against", str(before))


def main() -> int:
    """Runs the subcommand."""
    match sys.argv[1:]:
        case ["generate"]:
            renew()
            return 0
        case ["drift"]:
            return drift()
        case ["lint"]:
            return lint()
        case ["breaking", *base]:
            return breaking(base[0] if base else last_promise())
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    raise SystemExit(main())
