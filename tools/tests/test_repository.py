"""What the tools know about distributions."""

from pathlib import Path

import pytest

import import_all
from import_all import PurePosixPath
from repository import closure, distributions, requirement_name


def test_distributions_are_found_packages_first(repository: Path) -> None:
    assert [each.short for each in distributions(repository)] == ["all", "core", "nn", "ia3"]


def test_the_closure_follows_declared_requirements(repository: Path) -> None:
    every = distributions(repository)
    ia3 = every[-1]
    names = [each.name for each in closure(ia3, ia3.requirements, every)]
    assert names == ["graftwork-ia3", "graftwork-nn", "graftwork-core"]


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("torch>=2.6", "torch"), ("ray[tune]>=2", "ray"), ("Tomli_W ; python_version>'3'", "tomli-w")],
)
def test_requirement_names_are_normalised(requirement: str, name: str) -> None:
    assert requirement_name(requirement) == name


def test_templates_in_a_wheel_are_no_modules() -> None:
    names = ["graftwork/cli/__init__.py", "graftwork/cli/new.py", "graftwork/cli/templates/a.py"]
    found = import_all.shipped_modules([PurePosixPath(name) for name in names])
    assert found == ["graftwork.cli", "graftwork.cli.new"]
