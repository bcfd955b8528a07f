"""One task per question. `nox -l` lists them; `nox -s tests` answers one.

The distributions are found, not listed: a folder in packages/ or plugins/ with a
`pyproject.toml` takes part in every task.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

import nox

sys.path.insert(0, "tools")
from repository import Distribution, closure, distributions, requirement_name

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "contracts", "types", "tests"]

EVERY = distributions()
SOURCES = [str(each.src) for each in EVERY if each.src.is_dir()]
PINNED = ("--constraint", "constraints.txt", "--build-constraint", "constraints.txt")
# Wheels live for one call of nox. uv keeps what it once unpacked from a path, so a path that
# is used twice may install yesterday's code.
WHEELS = tempfile.TemporaryDirectory(prefix="graftwork-wheels-")
# Importing torch takes four times as long where nobody keeps the bytecode.
os.environ["PYTHONDONTWRITEBYTECODE"] = ""
# Nothing is downloaded or reported by a test.
OFFLINE = {"HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0", "TOKENIZERS_PARALLELISM": "false"}
# What is tested is too small for two threads, which wait for each other on a busy machine.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@nox.session
def lint(session: nox.Session) -> None:
    """Is every file formatted and free of lint? `-- --fix` mends what it can."""
    session.install(*PINNED, "--group", "lint")
    fix = "--fix" in session.posargs
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")


@nox.session
def contracts(session: nox.Session) -> None:
    """Does everybody import, declare and write only what they may? Installs none of ours."""
    session.install(*PINNED, "--group", "contracts")
    session.run("lint-imports", "--no-logo", env={"PYTHONPATH": os.pathsep.join(SOURCES)})
    for check in sorted(Path("tools").glob("check_*.py")):
        session.run("python", str(check))


@nox.session
def types(session: nox.Session) -> None:
    """Do the types hold, in every distribution at once?"""
    needed = [line for each in EVERY for line in [*each.requirements, *in_extras(each)]]
    session.install(*PINNED, *third_party(needed), "--group", "types")
    session.run("mypy", *SOURCES, env={"MYPYPATH": os.pathsep.join(SOURCES)})


@nox.session
def tests(session: nox.Session) -> None:
    """Do all unit tests pass, everything installed? Arguments go to pytest."""
    install_all(session, tested=True)
    paths = [arg for arg in session.posargs if Path(arg.split("::")[0]).exists()]
    folders = [str(each.tests) for each in EVERY if each.tests.is_dir()] + ["tools/tests"]
    if session.posargs:
        pytest(session, *([] if paths else folders), *session.posargs, checked=EVERY)
        return
    # A process for each core.
    session.install(*PINNED, "pytest-xdist")
    spread = ("-n", str(os.cpu_count() or 1), "--dist", "loadscope")
    pytest(session, *spread, *folders, checked=EVERY)


@nox.session
@nox.parametrize("distribution", [nox.param(each, id=each.short) for each in EVERY])
def alone(session: nox.Session, distribution: Distribution) -> None:
    """Does a distribution work with only what it declares? Its modules, then its tests."""
    install_wheels(session, closure(distribution, distribution.requirements, EVERY))
    script = Path("tools/import_all.py").absolute()
    with session.chdir(session.create_tmp()):
        session.run("python", "-P", str(script), distribution.name)
    if not any(distribution.tests.glob("**/test_*.py")):
        return
    group = [*distribution.requirements, *distribution.groups.get("test", ["pytest"])]
    needed = closure(distribution, group, EVERY)
    install_wheels(session, needed, *third_party(group))
    pytest(session, str(distribution.tests), *session.posargs)


@nox.session
def together(session: nox.Session) -> None:
    """Do the distributions work together, installed as wheels? Runs integration_tests/."""
    tested = [line for each in EVERY for line in each.groups.get("test", [])]
    install_wheels(session, EVERY, *third_party(tested), "uv", "hatchling", extras=True)
    # Tests that build a stranger's plugin install it beside these wheels.
    env = {"GRAFTWORK_WHEELS": WHEELS.name}
    pytest(session, *(session.posargs or ["integration_tests"]), env=env)


@nox.session
def startup(session: nox.Session) -> None:
    """Do `--help` and `list` stay light, with everything and thirty plugins installed?"""
    install_wheels(session, EVERY, extras=True)
    session.run("python", "-P", "tools/startup.py")


@nox.session(reuse_venv=True)
def docs(session: nox.Session) -> None:
    """Does the code in README and docs run? Arguments choose files."""
    install_all(session)
    found = [Path("README.md"), *Path("docs").rglob("*.md"), *Path().glob("p*/*/README.md")]
    for file in session.posargs or sorted(path for path in found if path.is_file()):
        session.run("python", "tools/run_docs.py", str(file), env=OFFLINE | ONE_THREAD)


@nox.session(reuse_venv=True)
def demo(session: nox.Session) -> None:
    """The main job: a search for the best adapter for a subject, and its report."""
    install_all(session)
    folders = (Path("runs", f"quickstart-{number}") for number in count(1))
    out = next(folder for folder in folders if not folder.exists())
    command = ["graftwork", "tune", "examples/quickstart.toml", "--out", str(out)]
    # An interrupted search saves its state before it ends.
    session.run(*command, *session.posargs, interrupt_timeout=60, terminate_timeout=30)


@nox.session(reuse_venv=True)
def bench(session: nox.Session) -> None:
    """How do we compare? Runs benchmarks/*.py, or those that are named."""
    install_all(session, tested=True)
    for script in session.posargs or sorted(map(str, Path("benchmarks").glob("*.py"))):
        session.run("python", script, env=OFFLINE)


@nox.session(reuse_venv=True)
def new(session: nox.Session) -> None:
    """Write a new plugin: `nox -s new -- NAME ...`, as in `graftwork new adapter NAME ...`."""
    install_all(session)
    session.run("graftwork", "new", "adapter", *session.posargs)


def install_all(session: nox.Session, *, tested: bool = False) -> None:
    """Every distribution, editable, with its extras."""
    editable = [f"-e{each.folder}{all_extras(each)}" for each in EVERY]
    groups = [line for each in EVERY for line in each.groups.get("test", []) if tested]
    tools = ["beartype", "--group", "tools"] if tested else []
    session.install(*PINNED, *editable, *third_party(groups), *tools)


def install_wheels(
    session: nox.Session, every: list[Distribution], *more: str, extras: bool = False
) -> None:
    """Wheels of `every` by path, and what they declare; nothing of ours from an index."""
    paths = [f"{wheel(session, each)}{all_extras(each) if extras else ''}" for each in every]
    again = [f"--reinstall-package={each.name}" for each in every]
    session.install(*PINNED, *again, *paths, *more)


def wheel(session: nox.Session, distribution: Distribution) -> Path:
    """Its wheel, built on first use."""
    folder = Path(WHEELS.name)
    pattern = f"{distribution.name.replace('-', '_')}-*.whl"
    if not any(folder.glob(pattern)):
        build = ["uv", "build", "--quiet", "--wheel", f"--out-dir={folder}"]
        pins = "--build-constraints=constraints.txt"
        session.run(*build, pins, str(distribution.folder), external=True)
    return next(folder.glob(pattern))


def pytest(
    session: nox.Session,
    *args: str,
    checked: Sequence[Distribution] = (),
    env: dict[str, str] | None = None,
) -> None:
    """Run pytest; calls into the tensor modules of `checked` have their shapes checked."""
    modules = [name for each in checked if declares_shapes(each) for name in each.modules()]
    if modules:
        session.install(*PINNED, "beartype")
        args = (f"--jaxtyping-packages={','.join(modules)},shapes.checked", *args)
    session.run("pytest", "-c", "pyproject.toml", *args, env=OFFLINE | ONE_THREAD | (env or {}))


def declares_shapes(distribution: Distribution) -> bool:
    # The kit's own asserts belong to pytest, which rewrites them.
    names = map(requirement_name, distribution.requirements)
    return "jaxtyping" in names and distribution.short != "testing"


def third_party(requirements: Iterable[str]) -> list[str]:
    """The requirements that are not ours."""
    ours = {each.name for each in EVERY}
    return sorted({line for line in requirements if requirement_name(line) not in ours})


def in_extras(distribution: Distribution) -> list[str]:
    return [line for lines in distribution.extras.values() for line in lines]


def all_extras(distribution: Distribution) -> str:
    return f"[{','.join(distribution.extras)}]" if distribution.extras else ""
