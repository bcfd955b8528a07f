import json
import math
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graftwork.core import hookimpl, plugins, registry
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.records import (
    AdapterSpec,
    BackboneSpec,
    DatasetSpec,
    LossSpec,
    MetricSpec,
    TaskSpec,
)
from graftwork.tune.report import write_report

NASTY = "<img src=x onerror=alert(1)>"
OVER = ("adapter.kind", "adapter.rank", "optimizer.lr", "loss.cat.weight")
FROZEN = {"fidelity": 0.4123, "kps": 1.0, "kps_empty": 1.0, "diversity": 0.388}
PROMPTS = {"Becomes": ["a photo of sks cat"], "Stays": ["a photo of cat", "a photo of brick"]}


@config
class Rank:
    rank: int = 8
    """Rank."""


class Plugins:
    """Names enough for a run file; nothing of them is ever loaded."""

    @hookimpl
    def adapters(self) -> list[AdapterSpec]:
        return [
            AdapterSpec(name=name, target="a:B", summary="-", family="weight", config=Rank)
            for name in ("lora", "dora", "sine-lora")
        ]

    @hookimpl
    def losses(self) -> list[LossSpec]:
        return [LossSpec(name=name, target="a:B", summary="-") for name in ("denoising", "cat")]

    @hookimpl
    def metrics(self) -> list[MetricSpec]:
        return [MetricSpec(name=name, target="a:B", summary=f"what {name} is") for name in FROZEN]

    @hookimpl
    def backbones(self) -> list[BackboneSpec]:
        return [
            BackboneSpec(
                name="toy-sd",
                target="a:B",
                summary="-",
                task="text-to-image",
                default_loss="denoising",
            )
        ]

    @hookimpl
    def tasks(self) -> list[TaskSpec]:
        return [TaskSpec(name="text-to-image", target="a:B", sampling="a:B", summary="-")]

    @hookimpl
    def datasets(self) -> list[DatasetSpec]:
        return [DatasetSpec(name="subject", target="a:B", summary="-", task="text-to-image")]


@pytest.fixture(autouse=True)
def toy_plugins() -> Iterator[None]:
    manager = plugins.PluginManager.empty()
    manager.register(Plugins(), "toys")
    with registry.use(manager):
        yield


def run_text(settings: dict[str, Any], search: bool = False) -> str:
    metrics = "".join(f'[[metric]]\nkind = "{name}"\n' for name in FROZEN if "_" not in name)
    searched = f'[search]\nover = {json.dumps(OVER)}\nmetric = "fidelity"\ntrials = 16\n'
    return f"""seed = 0
[backbone]
kind = "toy-sd"
[data]
kind = "subject"
[adapter]
kind = "{settings.get("adapter.kind", "lora")}"
rank = {settings.get("adapter.rank", 8)}
[[loss]]
kind = "denoising"
[[loss]]
kind = "cat"
weight = {settings.get("loss.cat.weight", 1.0)}
[optimizer]
lr = {settings.get("optimizer.lr", 1e-3)}
{metrics}{searched if search else ""}"""


def make_trial(folder: Path, index: int, noise: random.Random) -> dict[str, Any]:
    """A trial of plausible numbers: its folder, and its row of the leaderboard."""
    kind = ("lora", "dora", "sine-lora")[index % 3]
    rank, lr = noise.choice((2, 4, 8, 16)), 10 ** noise.uniform(-4, -1.7)
    weight = noise.choice((0.0, 0.5, 1.0, 2.0))
    settings = dict(zip(OVER, (kind, rank, lr, weight), strict=True))
    step = noise.choice((200, 200, 200, 50, 100))
    run = folder / "trials" / f"{index:05d}"
    run.mkdir(parents=True)
    (run / "run.toml").write_text(run_text(settings))
    strength = min(1.0, 0.25 + 0.22 * math.log10(lr * 1e4) + 0.03 * rank) * noise.uniform(0.8, 1)
    curve = [(at, measured(at, strength, weight)) for at in range(0, step + 1, 50)]
    lines = [{"step": at, "metrics": metrics} for at, metrics in curve]
    for at in range(1, step + 1):
        loss = 0.12 + 0.2 * math.exp(-at * strength / 40) * noise.uniform(0.3, 1.7)
        lines.append({"step": at, "seconds": at * 0.2, "loss": loss, "lr": lr})
    text = "".join(json.dumps(line) + "\n" for line in sorted(lines, key=lambda one: one["step"]))
    (run / "metrics.jsonl").write_text(text)
    return {
        "id": run.name,
        "folder": f"trials/{run.name}",
        "status": "finished" if step == 200 else "stopped",
        "settings": settings,
        "step": step,
        "value": curve[-1][1]["fidelity"],
        "metrics": curve[-1][1],
        "before": FROZEN,
        "parameters": rank * (3072 if kind == "lora" else 3400),
        "seconds": step * 0.2,
        "reason": "",
    }


def measured(step: int, strength: float, weight: float) -> dict[str, float]:
    done = 1 - math.exp(-step / 60)
    kps = 1 - 0.35 * strength**2 * done / (1 + 0.8 * weight)
    return {
        "fidelity": FROZEN["fidelity"] + 0.45 * strength * done,
        "kps": kps,
        "kps_empty": kps - 0.02 * done,
        "diversity": FROZEN["diversity"] - 0.15 * strength * done,
    }


def make_search(folder: Path, trials: int = 9, failed: int = 1) -> Path:
    """A search that came to its end."""
    folder.mkdir()
    (folder / "run.toml").write_text(run_text({}, search=True))
    (folder / "environment.json").write_text('{"python": "3.11.7", "toys": "4.5.6"}')
    noise = random.Random(3)
    rows = [make_trial(folder, index, noise) for index in range(trials)]
    rows.sort(key=lambda row: (row["status"] != "finished", -row["value"]))
    best = rows[0]["id"] if rows and rows[0]["status"] == "finished" else None
    front = pareto(rows)
    rows += [failure(rows, trials + index) for index in range(failed)]
    write_board(folder, best=best, pareto=front, trials=rows)
    if best:
        make_best(folder, rows[0])
    return folder


def failure(rows: list[dict[str, Any]], index: int) -> dict[str, Any]:
    return {
        "id": f"{index:05d}",
        "folder": f"trials/{index:05d}",
        "status": "failed",
        "settings": rows[0]["settings"] if rows else {"adapter.kind": "lora"},
        "step": 12,
        "value": None,
        "metrics": {},
        "before": {},
        "parameters": None,
        "seconds": 3.0,
        "reason": f"step 12: the loss is not finite; lower optimizer.lr {NASTY}",
    }


def pareto(rows: list[dict[str, Any]]) -> list[str]:
    points = [(row["id"], row["value"], row["metrics"]["kps"]) for row in rows]
    return [a for a, x, y in points if not any(u > x and v > y for _, u, v in points)]


def write_board(folder: Path, **parts: Any) -> None:
    head = {"metric": "fidelity", "mode": "max", "over": OVER, "seconds": 552.0}
    head |= {"axes": ["fidelity", "kps"]}
    (folder / "leaderboard.json").write_text(json.dumps(head | parts))


def make_best(folder: Path, row: dict[str, Any]) -> None:
    samples = folder / "best" / "samples"
    samples.mkdir(parents=True)
    (folder / "best" / "run.toml").write_text(run_text(row["settings"]))
    (folder / "best" / "environment.json").write_text('{"python": "3.11.7"}')
    pitch, rows = 18, sum(len(prompts) for prompts in PROMPTS.values())
    for name, colour in (("frozen", "gray"), ("adapted", "orange")):
        sheet = Image.new("RGB", (4 * pitch - 2, rows * pitch - 2), colour)
        sheet.save(samples / f"{name}.png")
    Image.new("RGB", (3 * pitch - 2, 16), "brown").save(samples / "reference.png")
    (samples / "rows.json").write_text(json.dumps({"columns": 4, "rows": PROMPTS}))


class Outline(HTMLParser):
    """What a reader, a browser and a screen reader find in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style", "title"):
            self.text.append(data)

    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def of(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Outline:
    outline = Outline(path.read_text(encoding="utf-8"))
    assert outline.open == []
    return outline


def charts(page: Outline) -> list[str]:
    return [svg["aria-label"] for svg in page.of("svg") if svg.get("class") == "chart"]


def board(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "leaderboard.json").read_text())


def test_the_headline_tells_the_best(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick")
    assert write_report(folder) == folder / "report.html"
    words = read(folder / "report.html").words()
    best = board(folder)["trials"][0]
    assert f"{best['settings']['adapter.kind']} came first of 10 trials" in words
    assert f"{best['value']:.3f}" in words
    assert "the frozen model has 0.412" in words
    assert f"{best['parameters']:,}" in words
    assert "9 min 12 s" in words
    assert "1 failed" in words


def test_every_trial_has_its_row(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick")
    page = read(write_report(folder))
    words = page.words()
    ids = {row.get("id") for row in page.of("tr")}
    for row in board(folder)["trials"]:
        assert f"trial-{row['id']}" in ids
        assert all(
            f"{value:.3f}" in words for name, value in row["metrics"].items() if "_" not in name
        )
    assert "lower optimizer.lr" in words


def test_charts(tmp_path: Path) -> None:
    titles = charts(read(write_report(make_search(tmp_path / "quick"))))
    assert titles[0] == "Fidelity against KPS, one mark for each trial"
    assert "KPS over the steps, one line for each trial" in titles
    assert "Fidelity against trained parameters" in titles
    assert "Loss over the steps, dora" in titles
    assert {f"Fidelity against {name}" for name in OVER} <= set(titles)


def test_the_pareto_front_is_ringed(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick")
    text = write_report(folder).read_text()
    scatter = text[text.index('<div class="beside">') :]
    scatter = scatter[: scatter.index("</figure>")]
    marks = re.findall(r'<a href="#trial-(\d+)".*?</a>', scatter, re.DOTALL)
    ringed = re.findall(r'<a href="#trial-(\d+)"(?:(?!</a>).)*class="ring"', scatter, re.DOTALL)
    assert len(marks) == 9
    assert sorted(ringed) == sorted(board(folder)["pareto"])
    front = re.search(r'class="line c0 front" d="([^"]*)"', scatter)
    assert front
    assert len(re.findall("[ML]", front[1])) == len(ringed)


def test_stopped_trials_are_hollow(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick")
    text = write_report(folder).read_text()
    for row in board(folder)["trials"]:
        if row["value"] is None:
            continue
        mark = re.search(rf'<a href="#trial-{row["id"]}".*?</a>', text, re.DOTALL)
        assert mark
        assert ("hollow" in mark[0]) == (row["status"] == "stopped")


def test_the_best_run_can_be_made_again(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick")
    page = read(write_report(folder))
    words = page.words()
    rank = board(folder)["trials"][0]["settings"]["adapter.rank"]
    assert f"graftwork fit {folder}/best/run.toml" in words
    assert "graftwork sample" in words
    assert "graftwork export" in words
    assert f"rank = {rank}" in words
    assert len(page.of("img")) == 1 + 2 * 3


def test_text_of_users_stays_text(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick", trials=2)
    scores = board(folder)
    scores["trials"][1]["settings"]["adapter.kind"] = NASTY
    scores["trials"][1]["id"] = '"><b onclick=x'
    (folder / "leaderboard.json").write_text(json.dumps(scores))
    page = read(write_report(folder))
    assert len(page.of("script")) == 1
    assert all(image["src"].startswith("data:") for image in page.of("img"))
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert NASTY in page.words()


@pytest.mark.parametrize("trials", [0, 9])
def test_nothing_comes_from_outside(tmp_path: Path, trials: int) -> None:
    page = read(write_report(make_search(tmp_path / "quick", trials=trials)))
    sources = [value for _, a in page.tags for key, value in a.items() if key in ("src", "href")]
    assert all(one.startswith(("data:", "#", "https://arxiv.org/abs/")) for one in sources if one)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in sources if one and one.startswith("#")} <= set(ids)


def test_one_trial(tmp_path: Path) -> None:
    words = read(write_report(make_search(tmp_path / "one", trials=1, failed=0))).words()
    assert "came first of 1 trial" in words


def test_no_trial_finished(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "none", trials=0, failed=2)
    page = read(write_report(folder))
    assert "No trial has finished" in page.words()
    assert page.words().count("the loss is not finite") == 2
    assert charts(page) == []


def test_no_trial_at_all(tmp_path: Path) -> None:
    words = read(write_report(make_search(tmp_path / "none", trials=0, failed=0))).words()
    assert "No trial was run" in words


def test_one_metric_alone_has_no_trade_off(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick", trials=3)
    scores = board(folder)
    for row in scores["trials"]:
        for key in ("metrics", "before"):
            row[key] = {name: row[key][name] for name in row[key] if name == "fidelity"}
    (folder / "leaderboard.json").write_text(
        json.dumps(scores | {"pareto": [], "axes": ["fidelity"]})
    )
    page = read(write_report(folder))
    assert "No trial was measured in two metrics" in page.words()


def test_the_axes_of_the_trade_off_are_the_leaderboards(tmp_path: Path) -> None:
    folder = make_search(tmp_path / "quick")
    scores = board(folder) | {"metric": "kps", "axes": ["kps", "fidelity"]}
    for row in scores["trials"]:
        row["value"] = row["metrics"].get("kps")
    (folder / "leaderboard.json").write_text(json.dumps(scores))
    assert charts(read(write_report(folder)))[0].startswith("KPS against fidelity")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"trials": [{"id": 3}]}'])
def test_an_unreadable_leaderboard_is_an_error(tmp_path: Path, text: str) -> None:
    folder = make_search(tmp_path / "quick", trials=1)
    (folder / "leaderboard.json").write_text(text)
    with pytest.raises(GraftworkError, match=r"leaderboard\.json"):
        write_report(folder)


def test_no_search_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match="not a search folder"):
        write_report(tmp_path)
