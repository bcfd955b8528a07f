"""From a fresh clone to a result, in one command and with the standard library only.

    python3 tools/start.py demo    runs the main job: a search for the best adapter of a subject
    python3 tools/start.py test    passes every test

Makes `.start/`, an environment with nox and uv as pinned in constraints.txt, when it is absent;
nox makes all others.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("start.py: graftwork needs Python 3.11 or newer, this is %d.%d; run it with a newer "
             "one, as in: python3.12 tools/start.py test" % sys.version_info[:2])  # fmt: skip

import os
import re
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".start"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
# Cheap answers first.
TASKS = {
    "demo": ["demo"],
    "test": ["lint", "contracts", "types", "startup", "tests", "together", "docs", "alone"],
}
PYTEST_RESULT = re.compile(r"^=+ .*\b(passed|failed|errors?|skipped|no tests ran)\b.* =+$")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in TASKS:
        print(f"start.py: say what to start: {' or '.join(TASKS)}", file=sys.stderr)
        return 2
    prepare()
    [task] = arguments
    command = [str(BIN / "nox"), "--noxfile", str(ROOT / "noxfile.py"), "-s", *TASKS[task]]
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    # The demo draws on the terminal itself; tests are read once more at the end.
    run = run_watched if task == "test" else run_plainly
    return run(command, environment)


def prepare() -> None:
    """Make the environment, unless one with the pinned versions is there."""
    pins = [line for line in constraints() if re.match(r"(nox|uv)==", line)]
    made = HOME / "made.txt"
    if made.is_file() and made.read_text("utf-8").split() == pins:
        return
    print(f"start.py: making .start/ with {' and '.join(pins)}", flush=True)
    try:
        venv.create(HOME, clear=True, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("start.py: this Python makes no environments; install its venv module "
                 "(on Debian and Ubuntu: the package python3-venv)")  # fmt: skip
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet"]
    done = subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *pins], check=False)
    if done.returncode != 0:
        sys.exit("start.py: pip could not install nox and uv; see its message above")
    made.write_text("\n".join(pins), "utf-8")


def constraints() -> list[str]:
    return (ROOT / "constraints.txt").read_text("utf-8").splitlines()


def run_plainly(command: list[str], environment: dict[str, str]) -> int:
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The search below has heard it too, and is saving its state.
            continue


def run_watched(command: list[str], environment: dict[str, str]) -> int:
    """Pass every line on, and repeat what each pytest said last."""
    results = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for raw in process.stdout or ():
            line = raw.decode("utf-8", "replace")
            print(line, end="", flush=True)
            if "Running session" in line or PYTEST_RESULT.match(line.rstrip()):
                results.append(line)
    print("\nWhat pytest said:\n" + "".join(with_result(results)))
    return process.returncode


def with_result(lines: list[str]) -> list[str]:
    """Drop the names of sessions without pytest."""
    following = [*lines[1:], "Running session"]
    return [
        line
        for line, after in zip(lines, following, strict=True)
        if "Running session" not in line or "Running session" not in after
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
