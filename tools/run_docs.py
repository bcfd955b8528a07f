"""Does the code in a Markdown file run?

    python tools/run_docs.py README.md

- A ```python block runs. The blocks of one file share one namespace and run in order, in a
  temporary folder that holds a copy of examples/.
- In a block of shell (```sh, ```bash, ```console) nothing runs, unless the line above the block
  is `<!-- run -->`: then its lines that begin with `graftwork ` do, and must succeed.
- `<!-- write: NAME -->` above a block of any language writes it to the file NAME there.
- `<!-- skip: REASON -->` above a block leaves it out. The reason is not optional.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"(?:^<!-- *(?P<mark>run|skip|write)(?:: *(?P<value>.*?))? *-->\n+)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block, and the mark above it."""

    language: str
    code: str
    line: int
    mark: str
    value: str


def main(file: Path) -> int:
    found = list(blocks(file.read_text("utf-8")))
    names: dict[str, Any] = {"__name__": "__main__"}
    path, here = file.absolute(), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        if (examples := here / "examples").is_dir():
            shutil.copytree(examples, Path(folder, "examples"))
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            ran = sum(run(block, path, names) for block in found)
        finally:
            os.chdir(here)
    print(f"{file}: {ran} of {len(found)} blocks ran")
    return 0


def blocks(text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        mark, value = match["mark"] or "", match["value"] or ""
        if mark in ("skip", "write") and not value:
            raise SystemExit(f"line {line}: <!-- {mark} --> needs a value, as in {mark}: ...")
        yield Block(match["language"], match["code"], line, mark, value)


def run(block: Block, path: Path, names: dict[str, Any]) -> bool:
    """Run one block; whether there was something to run. Errors name the line in the file."""
    if block.mark == "skip":
        return False
    if block.mark == "write":
        target = Path(block.value)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code, "utf-8")
        return True
    if block.language == "python":
        # Empty lines before the code make line numbers those of the file.
        exec(compile("\n" * (block.line - 1) + block.code, path, "exec"), names)
        return True
    if block.mark == "run":
        for command in commands(block.code):
            subprocess.run(shlex.split(command), check=True)
        return True
    return False


def commands(code: str) -> list[str]:
    """The lines that call graftwork; a backslash at the end of a line joins the next one."""
    lines = (line.removeprefix("$ ") for line in code.replace("\\\n", " ").splitlines())
    return [line for line in lines if line.startswith("graftwork ")]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
