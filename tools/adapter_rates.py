"""Which learning rate for each adapter of the study? Writes a search; reads it when it is done.

python tools/adapter_rates.py examples/adapters.toml runs/adapters-rates.toml
graftwork tune runs/adapters-rates.toml --out runs/adapters-rates
python tools/adapter_rates.py runs/adapters-rates
"""

import argparse
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from search_results import trials

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SEED = 3  # none of the study's


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="the study's run file, or the finished search")
    parser.add_argument("file", type=Path, nargs="?", help="run file to write")
    arguments = parser.parse_args()
    if arguments.file is None:
        show(arguments.source)
        return 0
    table = tomllib.loads(arguments.source.read_text())
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(tomli_w.dumps(screening(table, arguments.source.parent)))
    print(f"wrote {arguments.file}")
    return 0


def screening(table: dict[str, Any], base: Path) -> dict[str, Any]:
    """The study's file as a search over rates: every adapter at every rate, one seed."""
    adapters = [one | {"lr": rate} for one in table["search"]["space"]["adapter"] for rate in RATES]
    data = table["data"] | {"path": str((base / table["data"]["path"]).resolve())}
    search = table["search"] | {
        "over": ["adapter"],
        "trials": len(adapters),
        "space": {"adapter": adapters},
    }
    return table | {"seed": SEED, "data": data, "search": search}


def show(search: Path) -> None:
    """Print the balance at every rate, an adapter on each line."""
    found: dict[str, dict[float, float]] = {}
    for trial in trials(search):
        found.setdefault(trial.adapter, {})[trial.rate] = trial.metrics["balance"]
    for adapter, values in found.items():
        best = max(values, key=lambda rate: values[rate])
        cells = "  ".join(f"{rate:g}: {value:.3f}" for rate, value in sorted(values.items()))
        print(f"{adapter:45} {cells}  best {best:g}")


if __name__ == "__main__":
    raise SystemExit(main())
