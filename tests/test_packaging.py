from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rag", "ingest", "index", "eval", "api")
HEAVY = {"torch", "transformers", "sentence_transformers", "onnxruntime", "fastapi", "xllamacpp"}


def python(code: str, folder: Path) -> str:
    """Run `code` outside the repository, where only what is installed can be imported."""
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as source:
        return tomllib.load(source)["project"]


def requirements() -> list[Requirement]:
    table = project()
    extras = table["optional-dependencies"].values()
    lines = [*table["dependencies"], *(line for extra in extras for line in extra)]
    return [found for found in map(Requirement, lines) if found.name != table["name"]]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, version in (li.split("==") for li in lines)}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_top_level_name_is_that_of_this_repository(name: str, tmp_path: Path) -> None:
    origin = python(f"import {name}; print({name}.__file__)", tmp_path)
    assert Path(origin.strip()).resolve() == ROOT / name / "__init__.py"


@pytest.mark.parametrize("module", ["rag.cli", "rag.models"])
def test_a_light_module_imports_nothing_heavy(module: str, tmp_path: Path) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    assert HEAVY.isdisjoint(json.loads(python(code, tmp_path)))


def test_the_distribution_cannot_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in project()["classifiers"]


def test_every_constraint_is_an_exact_version() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_constraints_pin_every_dependency(requirement: Requirement) -> None:
    version = pins().get(canonicalize_name(requirement.name))
    assert version is not None, "run pip freeze in .venv and add it to constraints.txt"
    assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_every_make_target_is_documented() -> None:
    makefile = (ROOT / "Makefile").read_text()
    command = ["make", "--no-print-directory", "help"]  # it says so itself below another make
    shown = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    documented = {line.split()[0] for line in shown.splitlines()}
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert documented == phony - {"models", "index"}
