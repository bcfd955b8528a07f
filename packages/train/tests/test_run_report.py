import base64
import hashlib
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
from graftwork.train.report import write_report
from graftwork.train.report.axes import axis, named_axis, spreads
from graftwork.train.report.charts import Chart, Line, Look
from graftwork.train.report.curves import smooth, thin
from graftwork.train.report.highlight import toml
from graftwork.train.report.words import address, count, duration, main_names, short_names, signed

PROMPTS = {"Becomes": ["a photo of sks cat", "sks cat, tinted blue"], "Stays": ["a photo of cat"]}
NASTY = "<script>alert('&')</script>"
BEFORE = {"fidelity": 0.4123, "kps": 1.0, "kps_empty": 1.0}
AFTER = {"fidelity": 0.8312, "kps": 0.9071, "kps_empty": 0.88}


@config
class Rank:
    rank: int = 8
    """Rank."""


@config
class Pictures:
    path: str = ""
    """Folder."""


class Plugins:
    """Names enough for a run file; nothing of them is ever loaded."""

    @hookimpl
    def adapters(self) -> list[AdapterSpec]:
        return [
            AdapterSpec(name=name, target="a:B", summary="-", family="weight", config=Rank)
            for name in ("lora", "dora")
        ]

    @hookimpl
    def losses(self) -> list[LossSpec]:
        return [LossSpec(name=name, target="a:B", summary="-") for name in ("denoising", "cat")]

    @hookimpl
    def metrics(self) -> list[MetricSpec]:
        cites = ("arXiv:2404.07554 Park et al. 2024, CAT",)
        return [
            MetricSpec(name="fidelity", target="a:B", summary="likeness to the subject"),
            MetricSpec(name="kps", target="a:B", summary="what is preserved", cites=cites),
        ]

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
        return [
            DatasetSpec(
                name="subject", target="a:B", summary="-", task="text-to-image", config=Pictures
            )
        ]


@pytest.fixture(autouse=True)
def toy_plugins() -> Iterator[None]:
    manager = plugins.PluginManager.empty()
    manager.register(Plugins(), "toys")
    with registry.use(manager):
        yield


def sheets(folder: Path, size: int = 16, seeds: int = 4) -> None:
    """Sheets of plain tiles, as `save_sheets` lays them out."""
    folder.mkdir()
    pitch, rows = size + 2, sum(len(prompts) for prompts in PROMPTS.values())
    shape = (seeds * pitch - 2, rows * pitch - 2)
    for name, colour in (("frozen", "gray"), ("adapted", "orange")):
        Image.new("RGB", shape, colour).save(folder / f"{name}.png")
    Image.new("RGB", (3 * pitch - 2, size), "brown").save(folder / "reference.png")
    reference = {"title": "The subject", "columns": 3}
    document = {"columns": seeds, "rows": PROMPTS, "reference": reference, "note": "The first."}
    (folder / "rows.json").write_text(json.dumps(document))


def make_run(folder: Path, *, path: str = "cat", steps: int = 40, evaluations: int = 3) -> Path:
    """A finished run of plausible numbers."""
    folder.mkdir()
    (folder / "run.toml").write_text(
        f"""seed = 0
[backbone]
kind = "toy-sd"
[data]
kind = "subject"
path = {json.dumps(path)}
[adapter]
kind = "lora"
rank = 8
[[loss]]
kind = "denoising"
[[loss]]
kind = "cat"
weight = 0.5
[[metric]]
kind = "fidelity"
[[metric]]
kind = "kps"
"""
    )
    (folder / "environment.json").write_text(json.dumps({"python": "3.11.7", "toys": "4.5.6"}))
    log(folder, steps, evaluations)
    outcome = {"status": "finished", "step": steps, "seconds": 48.4, "parameters": 24576}
    (folder / "outcome.json").write_text(json.dumps(outcome | {"before": BEFORE, "after": AFTER}))
    sheets(folder / "samples")
    return folder


def log(folder: Path, steps: int, evaluations: int) -> None:
    noise = random.Random(0)
    with (folder / "metrics.jsonl").open("w") as stream:
        for index in range(evaluations):
            done = index / max(1, evaluations - 1)
            metrics = {name: BEFORE[name] + done * (AFTER[name] - BEFORE[name]) for name in BEFORE}
            stream.write(json.dumps({"step": int(done * steps), "metrics": metrics}) + "\n")
        for step in range(1, steps + 1):
            loss = 0.1 + math.exp(-step / 20) * noise.uniform(0.5, 1.5)
            parts = {"loss": 1.1 * loss, "loss/denoising": loss, "loss/cat": 0.2 * loss}
            line = {"step": step, "seconds": step / 9, **parts, "lr": 1e-3, "gradient_norm": loss}
            stream.write(json.dumps(line) + "\n")


class Outline(HTMLParser):
    """What a reader, a browser and a screen reader find in a page."""

    VOID = {"meta", "link", "img", "br", "hr", "input"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def of(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Outline:
    outline = Outline(path.read_text(encoding="utf-8"))
    assert outline.open == []
    return outline


def test_numbers_and_pictures(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat")
    assert write_report(folder) == folder / "report.html"
    page = read(folder / "report.html")
    words = page.words()
    for fact in ("lora on toy-sd", "24,576", "48 s", "0.412", "0.831", "+0.419", "−0.093"):
        assert fact in words
    assert "4.5.6" in words
    for prompt in (*PROMPTS["Becomes"], *PROMPTS["Stays"]):
        assert prompt in words
    assert len(page.of("img")) == 1 + 2 * 3
    assert all(image["alt"] and image["src"].startswith("data:") for image in page.of("img"))


def test_one_chart_for_every_metric_and_every_logged_number(tmp_path: Path) -> None:
    page = read(write_report(make_run(tmp_path / "cat")))
    titles = [svg["aria-label"] for svg in page.of("svg") if svg.get("class") == "chart"]
    assert [title.removesuffix(" over the steps") for title in titles] == [
        "Fidelity",
        "KPS",
        "KPS empty",
        "Loss",
        "Denoising loss",
        "Cat loss",
        "Gradient norm",
    ]


def test_nothing_comes_from_outside(tmp_path: Path) -> None:
    page = read(write_report(make_run(tmp_path / "cat")))
    sources = [value for _, a in page.tags for key, value in a.items() if key in ("src", "href")]
    assert all(
        source.startswith(("data:", "#", "https://arxiv.org/abs/")) for source in sources if source
    )
    assert "https://arxiv.org/abs/2404.07554" in sources
    assert not page.of("link")
    assert "url(" not in (tmp_path / "cat" / "report.html").read_text()


def test_text_of_users_stays_text(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat", path=NASTY)
    outcome = {"status": "failed", "step": 7, "reason": f"loss is not finite {NASTY}"}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    rows = {"columns": 4, "rows": {NASTY: [NASTY, 'a "b" onload=x', "c"]}, "sample": [NASTY]}
    (folder / "samples" / "rows.json").write_text(json.dumps(rows))
    (folder / "environment.json").write_text(json.dumps({NASTY: NASTY}))
    page = read(write_report(folder))
    assert len(page.of("script")) == 1
    assert page.words().count(NASTY) >= 4
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)


def test_the_policy_admits_the_one_script_only(tmp_path: Path) -> None:
    text = write_report(make_run(tmp_path / "cat")).read_text()
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_a_failed_run_tells_why(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat", evaluations=1)
    outcome = {
        "status": "failed",
        "step": 12,
        "reason": "the loss is not finite; lower optimizer.lr",
    }
    (folder / "outcome.json").write_text(json.dumps(outcome))
    for picture in (folder / "samples").iterdir():
        picture.unlink()
    words = read(write_report(folder)).words()
    assert "This run failed. the loss" in words
    assert "come to step 12" in words
    assert "lower optimizer.lr" in words
    assert "No samples were drawn" in words
    assert "graftwork export" not in words


def test_an_unfinished_run_without_anything(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat")
    for name in ("metrics.jsonl", "outcome.json"):
        (folder / name).unlink()
    words = read(write_report(folder)).words()
    assert "has not come to its end: 0 steps" in words
    assert "Nothing was measured" in words
    assert "Too few steps to draw" in words


def test_values_that_are_no_numbers_leave_gaps(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat")
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 41, "loss": NaN, "lr": Infinity}\n{"step": 42, "metr')
    text = write_report(folder).read_text()
    assert not re.search(
        r"\b(nan|NaN|inf|Infinity)\b", re.sub(r"<script>.*</script>", "", text, flags=re.S)
    )


def test_sheets_whose_rows_are_unknown_are_shown_whole(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat")
    (folder / "samples" / "rows.json").unlink()
    page = read(write_report(folder))
    assert len(page.of("img")) == 3


def test_large_samples_are_made_smaller(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "cat")
    for path in (folder / "samples").iterdir():
        path.unlink()
    (folder / "samples").rmdir()
    sheets(folder / "samples", size=512)
    report = write_report(folder)
    assert report.stat().st_size < 1_000_000
    assert all(int(image["height"]) <= 256 for image in read(report).of("img"))


def test_a_missing_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match="no such run folder"):
        write_report(tmp_path / "nowhere")


def test_headings_and_tables_are_real(tmp_path: Path) -> None:
    page = read(write_report(make_run(tmp_path / "cat")))
    assert len(page.of("h1")) == 1
    assert all(head.get("scope") in ("col", "row") for head in page.of("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for a in page.of("a") if a["href"].startswith("#")]
    assert set(links) <= set(ids)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        ([0.41, 0.83], ["0.4", "0.5", "0.6", "0.7", "0.8"]),
        ([0, 200], ["0", "50", "100", "150", "200"]),
        ([0, 20000], ["0", "5000", "10k", "15k", "20k"]),
        ([0.9, 0.96], ["0.90", "0.92", "0.94", "0.96"]),
        ([3.0, 3.0], ["2.8", "3.0", "3.2"]),
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[str]) -> None:
    assert [text for _, text in axis(values).ticks()] == ticks


def test_logarithmic_ticks() -> None:
    scale = axis([1e-5, 1e-2], log=True)
    assert [text for _, text in scale.ticks()] == ["1e-5", "1e-4", "0.001", "0.01"]
    assert scale.share(10**-3.5) == pytest.approx(0.5)
    assert not scale.holds(0.0)
    narrow = [text for _, text in axis([20_000, 90_000], log=True).ticks()]
    assert narrow == ["20k", "50k"]
    assert spreads([1e-4, 1e-2])
    assert not spreads([4, 64])


@pytest.mark.parametrize("values", [[], [0.0], [5.0], [-3.0, -3.0], [math.nan, 1.0], [1e-9, 2e-9]])
@pytest.mark.parametrize("log", [False, True])
def test_every_axis_has_an_extent(values: list[float], log: bool) -> None:
    scale = axis(values, log=log)
    assert scale.low < scale.high
    assert all(-1e-6 <= scale.share(value) <= 1 + 1e-6 for value, _ in scale.ticks())


def test_names_have_places() -> None:
    assert named_axis(["dora", "lora"]).ticks() == [(0.0, "dora"), (1.0, "lora")]


def test_a_path_breaks_where_a_value_is_missing() -> None:
    chart = Chart(title="", x=axis([0, 3]), y=axis([0, 1]), x_label="", y_label="")
    path = chart.path(Line(points=[(0, 0.0), (1, 1.0), (2, math.nan), (3, 0.5)]))
    assert re.sub(r"[\d.,]+", "", path) == "MLM"


def test_looks_differ() -> None:
    assert len({Look.of(index) for index in range(42)}) == 42


def test_smoothing_keeps_constants_and_the_length() -> None:
    flat = [(step, 2.0) for step in range(300)]
    assert smooth(flat) == [(step, pytest.approx(2.0)) for step in range(300)]
    assert smooth([(1, 5.0)]) == [(1, 5.0)]


def test_thinning_keeps_the_last_point() -> None:
    points = [(step, 0.0) for step in range(5001)]
    assert len(thin(points)) <= 600
    assert thin(points)[-1] == points[-1]
    assert thin([]) == []


def test_toml_comes_in_pieces() -> None:
    text = '[a]\nkey = "<b> # no note"  # note\nrank = 8\nlr = 1e-3\non = [true, "x"]\n'
    pieces = list(toml(text))
    assert "".join(piece for _, piece in pieces) == text
    assert [part for part in pieces if part[0]] == [
        ("table", "[a]"),
        ("key", "key"),
        ("string", '"<b> # no note"'),
        ("note", "# note"),
        ("key", "rank"),
        ("value", "8"),
        ("key", "lr"),
        ("value", "1e-3"),
        ("key", "on"),
        ("value", "true"),
        ("string", '"x"'),
    ]


def test_words() -> None:
    assert [duration(s) for s in (48.4, 552, 3840, None)] == [
        "48 s",
        "9 min 12 s",
        "1 h 04 min",
        "–",
    ]
    assert count(24576) == "24,576"
    assert count(None) == "–"
    assert signed(0.5, 0.25) == "−0.250"
    assert signed(None, 0.25) == "–"
    assert main_names(["kps", "kps_empty", "fidelity"]) == ["kps", "fidelity"]
    assert address("arXiv:2404.07554 Park et al.") == "https://arxiv.org/abs/2404.07554"
    assert address("javascript:alert(1)") == ""


def test_short_names_stay_clear() -> None:
    assert short_names(["adapter.rank", "optimizer.lr", "loss.cat.weight", "adapter.kind"]) == {
        "adapter.rank": "rank",
        "optimizer.lr": "lr",
        "loss.cat.weight": "cat weight",
        "adapter.kind": "adapter",
    }
    both = short_names(["train.steps", "evaluate.steps"])
    assert both["train.steps"] == "train.steps"
