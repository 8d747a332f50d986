"""What python/test has built and installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from support.gateway import Pushgateway
from support.settings import of_python_test

import simplepipe


def built(ending: str) -> Path:
    (file,) = Path(of_python_test("SIMPLEPIPE_DIST")).glob(f"*{ending}")
    return file


def test_what_is_tested_is_installed_with_its_types() -> None:
    assert Path(simplepipe.__file__).is_relative_to(sys.prefix)
    assert Path(simplepipe.__file__).with_name("py.typed").exists()
    assert version("simplepipe") == simplepipe.__version__


def test_the_wheel_is_typed_and_has_nothing_but_the_package() -> None:
    names = zipfile.ZipFile(built(".whl")).namelist()
    assert "simplepipe/py.typed" in names
    assert all(name.startswith(("simplepipe/", f"simplepipe-{simplepipe.__version__}.dist-info/")) for name in names)


def test_the_sdist_has_all_that_a_wheel_is_built_from() -> None:
    with tarfile.open(built(".tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wheel = {name for name in zipfile.ZipFile(built(".whl")).namelist() if name.startswith("simplepipe/")}
    assert {f"src/{name}" for name in wheel} | {"pyproject.toml", "README.md"} <= names
    assert not any("test" in name for name in names)


def test_importing_it_is_quick_and_needs_no_training_library() -> None:
    code = "import sys, simplepipe; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"keras", "torch", "numpy", "transformers", "prometheus_client"} & set(modules)


def test_tests_by_pytest_alone_say_what_they_want(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHGATEWAY_PROGRAM", raising=False)
    with pytest.raises(pytest.fail.Exception, match="PUSHGATEWAY_PROGRAM is not set; run python/test, or set it"):
        Pushgateway()
