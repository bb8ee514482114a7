"""Generates libs/contracts from protos/: `python -m tools.protos.generate [--check]`.

With --check nothing is written; the exit code is 1 when what is committed differs from what protos/ says.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

from tools.protos.comments import comments_text
from tools.protos.dependencies import dependency_set

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
CONTRACTS = ROOT / "libs" / "contracts"
COMMENTS = ROOT / "services" / "edge" / "openapi" / "comments.json"


def proto_files() -> list[str]:
    """Our own files, relative to protos/."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))


def _has_service(path: Path) -> bool:
    return any(line.startswith("service ") for line in path.read_text(encoding="utf-8").splitlines())


def run_protoc(*arguments: str) -> None:
    """Runs protoc over our protos with the dependencies at hand; raises SystemExit when it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        dependencies = Path(scratch, "dependencies.binpb")
        dependencies.write_bytes(dependency_set().SerializeToString())
        code = protoc.main(["protoc", f"--descriptor_set_in={dependencies}", f"--proto_path={PROTOS}", *arguments])
    if code:
        raise SystemExit(code)


def plugin(name: str) -> str:
    """Tells protoc where a plugin of this environment is, which need not be on the PATH."""
    return f"--plugin=protoc-gen-{name}={Path(sys.executable).parent / f'protoc-gen-{name}'}"


def write_image(path: Path) -> None:
    """Writes a descriptor set of our files and all they import, with comments, as `buf` reads it."""
    run_protoc(f"--descriptor_set_out={path}", "--include_imports", "--include_source_info", *proto_files())


def generate(target: Path) -> None:
    """Writes the Python modules for every proto, and for buf/validate which they import, under `target`."""
    files = [*proto_files(), "buf/validate/validate.proto"]
    run_protoc(plugin("mypy"), f"--python_out={target}", f"--mypy_out=quiet:{target}", *files)
    services = [name for name in proto_files() if _has_service(PROTOS / name)]
    run_protoc(plugin("mypy_grpc"), f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}", *services)
    for folder in {path.parent for path in target.rglob("*_pb2.py")}:
        for parent in (folder, *folder.relative_to(target).parents):
            (target / parent / "__init__.py").touch()
    (target / "__init__.py").unlink(missing_ok=True)


def _differences(left: Path, right: Path) -> list[str]:
    names = {
        path.relative_to(root)
        for root in (left, right)
        for path in root.rglob("*.py*")
        if "__pycache__" not in path.parts
    }
    return sorted(
        str(name)
        for name in names
        if not (
            (left / name).exists() and (right / name).exists() and filecmp.cmp(left / name, right / name, shallow=False)
        )
    )


def main() -> int:
    """Generates, or compares; 1 on a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on a difference")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        generate(target)
        different = [f"libs/contracts/{name}" for name in _differences(target, CONTRACTS)]
        image = target / "image.binpb"
        write_image(image)
        comments = comments_text(image.read_bytes())
        image.unlink()
        if arguments.check:
            if not COMMENTS.exists() or COMMENTS.read_text(encoding="utf-8") != comments:
                different.append(str(COMMENTS.relative_to(ROOT)))
            for name in different:
                print(f"{name} differs from protos/: run make protos", file=sys.stderr)
            return 1 if different else 0
        shutil.rmtree(CONTRACTS, ignore_errors=True)
        shutil.copytree(target, CONTRACTS)
        COMMENTS.write_text(comments, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
