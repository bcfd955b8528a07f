"""Wrong inputs through the command line: one line that helps, nothing written, no traceback.

Each case names fragments that its line must hold: the place, what is wrong, the remedy.
"""

import hashlib
import json
import math
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run where the inputs are, so that `runs/` would show too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def refused(graftwork: Any, tmp_path: Path) -> Refused:
    """`refused("fit run.toml", "adapter.rank")`: the command must fail as promised."""

    def refuse(words: str, *says: str, run: Any = graftwork, **more: Any) -> str:
        before = tree(tmp_path)
        said = run(*shlex.split(words), **more)
        assert said.status == 2, said
        assert said.err.count("\n") == 1, said.err
        assert said.err.startswith("error: "), said.err
        assert "Traceback" not in said.out + said.err
        assert tree(tmp_path) == before, "something was written or changed"
        for fragment in says:
            assert fragment in said.err
        return said.err

    return refuse


def tree(folder: Path) -> dict[str, str]:
    """Every path below a folder with a hash of what is there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes() if path.is_file() else b""
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
    }


# -- Run files ---------------------------------------------------------------------------------

PARAMETERS = ("changes", "says")

SETTINGS = {
    # Unknown keys, at every level.
    "top key": ({"sed": 3}, ("run.toml: sed: unknown key", "did you mean 'seed'?")),
    "table": ({"optimiser.lr": 1.0}, ("optimiser: unknown key", "did you mean 'optimizer'?")),
    "adapter setting": ({"adapter.rnak": 3}, ("adapter.rnak", "did you mean 'rank'?")),
    "train setting": ({"train.step": 3}, ("train.step:", "did you mean 'steps'?")),
    "optimizer setting": ({"optimizer.lrr": 3.0}, ("optimizer.lrr", "did you mean 'lr'?")),
    "evaluate setting": ({"evaluate.prompt": []}, ("evaluate.prompt:", "'prompts'?")),
    "data setting": ({"data.image": 3}, ("data.image:", "did you mean 'images'?")),
    "backbone setting": ({"backbone.size": 3}, ("backbone.size: unknown key",)),
    "loss setting": ({"loss.toy-preserve.weigth": 1.0}, ("loss.weigth: unknown key",)),
    "metric setting": ({"metric.redness.hue": 1}, ("metric.hue: unknown key",)),
    # Wrong types.
    "text for a number": ({"adapter.rank": "8"}, ("adapter.rank: expected an integer", "quotes")),
    "fraction": ({"adapter.rank": 2.5}, ("adapter.rank: expected an integer", "2.5")),
    "truth for a number": ({"adapter.rank": True}, ("adapter.rank: expected an integer",)),
    "text for a list": ({"evaluate.prompts": "a zed"}, ("evaluate.prompts: expected a list",)),
    "text for a table": ({"adapter": "lora"}, ("adapter: expected a table", "write [adapter]")),
    "table for a list": ({"loss": {"kind": "toy-denoising"}}, ("loss: expected", "[[loss]]")),
    "text in a list of tables": ({"loss": ["cat"]}, ("loss: expected a list", "[[loss]]")),
    "number for a pattern": ({"adapter.sites": 3}, ("adapter.sites: expected", "pattern")),
    "seed": ({"seed": "three"}, ("run.toml: seed: expected an integer", "'three'")),
    # Out of range.
    "too small": ({"adapter.rank": 0}, ("adapter.rank: expected", "at least 1", "got 0")),
    "negative": ({"optimizer.lr": -1e-3}, ("optimizer.lr: expected", "more than 0")),
    "not a number": ({"optimizer.lr": math.nan}, ("optimizer.lr: expected a finite number",)),
    "infinite": ({"optimizer.lr": math.inf}, ("optimizer.lr: expected a finite number",)),
    "no steps": ({"train.steps": 0}, ("train.steps: expected", "at least 1")),
    "precision": ({"train.precision": "fp8"}, ("train.precision", "fp32", "bf16")),
    "one beta": ({"optimizer.betas": [0.9]}, ("optimizer.betas",)),
    "beta of one": ({"optimizer.betas": [0.9, 1.0]}, ("optimizer.betas", "less than 1")),
    "negative seed": ({"seed": -1}, ("seed: expected an integer of at least 0", "-1")),
    "negative weight": ({"loss.toy-preserve.weight": -1.0}, ("loss.weight", "at least 0")),
    "weight not a number": ({"loss.toy-preserve.weight": math.nan}, ("loss.weight", "number")),
    # Missing parts.
    "no backbone": ({"backbone": None}, ("[backbone] is missing", "add it with a `kind`")),
    "no data": ({"data": None}, ("[data] is missing", "add it with a `kind`")),
    "no adapter": ({"adapter": None}, ("[adapter] is missing", "add it with a `kind`")),
    "no kind": ({"adapter.kind": None}, ("adapter.kind: is missing; one of:", "toy-lora")),
    # Unknown plugins, of every kind that a run file names.
    "backbone": ({"backbone.kind": "tooy"}, ("backbone.kind", "'tooy'", "did you mean 'toy'?")),
    "adapter": ({"adapter.kind": "loar"}, ("adapter.kind", "'loar'", "did you mean 'lora'?")),
    "data": ({"data.kind": "subjct"}, ("data.kind", "'subjct'", "did you mean 'subject'?")),
    "loss": ({"loss": [{"kind": "catt"}]}, ("loss.kind", "'catt'", "did you mean 'cat'?")),
    "metric": ({"metric": [{"kind": "kpss"}]}, ("metric.kind", "did you mean 'kps'?")),
    "sink": ({"sink": [{"kind": "tensorbord"}]}, ("sink.kind", "unknown name 'tensorbord'")),
    # What fits nothing.
    "pattern without a match": (
        {"adapter.sites": ["midle"]},
        ("run.toml: adapter.sites: 'midle' matches no site; nearest: middle",),
    ),
    "pattern that takes all away": (
        {"adapter.sites": ["middle", "!middle"]},
        ("adapter.sites", "leave no site"),
    ),
    "pattern of a block": (
        {"backbone.kind": "toy-wide", "adapter.sites": ["body"]},
        ("adapter.sites: 'body'", "not a layer", "'body.*'"),
    ),
    "rank above a layer's size": (
        {"adapter": {"kind": "lora", "rank": 9, "sites": ["middle"]}},
        ("run.toml: adapter.rank: 9 is above", "'middle' (8 x 8)", "use at most 8"),
    ),
    "no loss has a weight": (
        {"loss": [{"kind": "toy-denoising", "weight": 0.0}]},
        ("loss: every weight is 0", "give one a weight"),
    ),
    "a loss twice": (
        {"loss": [{"kind": "toy-denoising"}, {"kind": "toy-denoising", "weight": 2.0}]},
        ("loss: 'toy-denoising' is there twice", "keep one"),
    ),
    # Several adapters.
    "two adapters of one name": (
        {"adapter": [{"kind": "toy-lora"}, {"kind": "toy-lora", "rank": 1}]},
        ("run.toml: adapter: 'toy-lora' is there twice", "give each a `name`"),
    ),
    "name of an adapter": (
        {"adapter": [{"kind": "toy-lora", "name": "my/lora"}]},
        ("run.toml: adapter.name: 'my/lora' cannot be one", "letters, digits, - and _"),
    ),
    "setting of one of several": (
        {"adapter": [{"kind": "toy-lora"}, {"kind": "lora", "rnak": 2}]},
        ("run.toml: adapter.lora.rnak: unknown key", "did you mean 'rank'?"),
    ),
    "branch": (
        {"adapter.branch": "negativ"},
        ("run.toml: adapter.branch: expected", "did you mean 'negative'?"),
    ),
    "rate of one of several": (
        {"adapter": [{"kind": "toy-lora", "lr": -1e-3}]},
        ("run.toml: adapter.toy-lora.lr: expected", "more than 0"),
    ),
    "name of the only one": ({"adapter.name": "a"}, ("run.toml: adapter.name: unknown key",)),
    "branch on a backbone without": (
        {"adapter.branch": "negative"},
        ("run.toml: adapter.branch: the backbone 'toy' does not run", "leave it out"),
    ),
    "no pictures": ({"data.images": 0}, ("data.images: no picture",)),
    "metric that asks for more": (
        {"metric": [{"kind": "diversity"}]},
        ("metric.diversity: compares samples of two seeds", "raise evaluate.seeds"),
    ),
    "prompt without the trigger": (
        {"evaluate.prompts": ["a square"]},
        ("evaluate.prompts: 'a square' lacks the trigger 'zed'", "evaluate.preserve"),
    ),
}


@pytest.mark.parametrize(PARAMETERS, SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting(refused: Refused, write_run: Any, changes: Any, says: Any) -> None:
    write_run(changes)
    refused("fit run.toml --out out", *says)


def _words(kind: str, **settings: Any) -> dict[str, Any]:
    loss = {"kind": "dreamartist" if kind == "dreamartist" else "denoising"}
    return {
        "backbone.kind": "tiny-sd",
        "adapter": {"kind": kind, **settings},
        "loss": [loss],
    }


PAIR = [{"kind": "dreamartist"}]
LEARNED = {
    "placeholder in no caption": (
        _words("textual-inversion", placeholder="sks"),
        ("run.toml: adapter.placeholder: 'sks' is in no caption", "'a zed square'", "trigger"),
    ),
    "placeholder of two words": (
        _words("textual-inversion", placeholder="zed square"),
        ("run.toml: adapter", "placeholder: 'zed square' is several words; write one"),
    ),
    "initial word of no tokens": (
        _words("dreamartist", initial=" "),
        ("run.toml: adapter.initial: ' ' has no tokens for 'zed'", "leave it empty"),
    ),
    "no vectors": (
        _words("dreamartist", vectors=0),
        ("run.toml: adapter.vectors: expected", "at least 1", "got 0"),
    ),
    "learned words on another layer": (
        _words("dreamartist", sites="unet.*.to_q"),
        ("run.toml: adapter", "is not an embedding; name one in `sites`"),
    ),
    "learned words on a backbone without": (
        _words("textual-inversion") | {"backbone.kind": "toy"},
        ("run.toml: adapter.sites: no default is known",),
    ),
    "a loss for a negative word without one": (
        _words("textual-inversion") | {"loss": [{"kind": "dreamartist"}]},
        ("run.toml: loss: dreamartist trains a word and its negative", "has no negative"),
    ),
    "a negative word without a loss for it": (
        _words("dreamartist") | {"loss": [{"kind": "denoising"}]},
        ("run.toml: adapter.kind: 'dreamartist' has a negative word", "no loss trains"),
    ),
    "words of one of several in no caption": (
        _words("x") | {"adapter": [*PAIR, {"kind": "textual-inversion", "placeholder": "sks"}]},
        ("run.toml: adapter.textual-inversion.placeholder: 'sks' is in no caption", "trigger"),
    ),
    "two words for one trigger": (
        _words("x") | {"adapter": [*PAIR, {"kind": "textual-inversion"}], "loss": PAIR},
        (
            "run.toml: adapter.textual-inversion.placeholder: 'zed' stands for other vectors",
            "in graft 'dreamartist'; choose another word",
        ),
    ),
    "learned words on one branch": (
        _words("dreamartist", branch="positive"),
        ("run.toml: adapter.branch: learned words act in the prompts", "leave it out"),
    ),
    "a negative branch that no loss trains": (
        _words("lora", branch="negative"),
        ("run.toml: adapter.branch: no loss trains the negative branch", "dreamartist"),
    ),
    "a branch under gradient checkpointing": (
        _words("lora", branch="positive") | {"backbone.gradient_checkpointing": True},
        ("backbone.gradient_checkpointing: does not go with", "set it to false"),
    ),
    "guidance that is none": (
        _words("dreamartist") | {"loss": [{"kind": "dreamartist", "guidance": "3:__import__"}]},
        ("run.toml: loss", "guidance", "is no scale", "'1.5-3:cos'"),
    ),
}


@pytest.mark.parametrize(PARAMETERS, LEARNED.values(), ids=LEARNED)
def test_wrong_learned_words(refused: Refused, write_run: Any, changes: Any, says: Any) -> None:
    import graftwork.backbones.diffusion.tiny  # noqa: F401  # transformers warns as it is imported

    write_run({"metric": None} | changes)
    refused("fit run.toml --out out", *says)


SEARCH: dict[str, Any] = {
    "over": ["adapter.rank", "optimizer.lr"],
    "metric": "redness",
    "trials": 2,
}
SEARCHES = {
    "setting": ({"search.trails": 3}, ("search.trails", "did you mean 'trials'?")),
    "no trials": ({"search.trials": 0}, ("search.trials: expected", "at least 1")),
    "no metric": ({"search.metric": None}, ("search.metric", "missing")),
    "mode": ({"search.mode": "maximum"}, ("search.mode", "max", "min")),
    "searcher": ({"search.searcher": "randm"}, ("search.searcher", "did you mean 'random'?")),
    "scheduler": ({"search.scheduler": "ashaa"}, ("search.scheduler", "did you mean 'asha'?")),
    "nothing to search": ({"search.over": []}, ("search.over", "name a setting")),
    "unknown setting": ({"search.over": ["adapter.rnak"]}, ("'adapter.rnak'", "'rank'?")),
    "unknown table": ({"search.over": ["adaptr.rank"]}, ("'adaptr.rank'", "'adapter.rank'")),
    "unknown loss": ({"search.over": ["loss.dog.weight"]}, ("'loss.dog.weight' is no setting",)),
    "no range": (
        {"search.over": ["train.batch"]},
        ("'train.batch' has no range", "[search.space]"),
    ),
    "space of something else": (
        {"search.space": {"adapter.rnak": [1]}},
        ("search.space: 'adapter.rnak' is not in search.over", "did you mean 'adapter.rank'?"),
    ),
    "range reversed": (
        {"search.space": {"adapter.rank": {"low": 4, "high": 1}}},
        ("'adapter.rank'", "low < high"),
    ),
    "range by magnitude from zero": (
        {"search.space": {"optimizer.lr": {"low": 0.0, "high": 1.0, "log": True}}},
        ("'optimizer.lr'", "low"),
    ),
    "range of another shape": (
        {"search.space": {"adapter.rank": {"min": 1, "max": 4}}},
        ("'adapter.rank': expected a list of values", "low = 1, high = 64"),
    ),
    "no values": ({"search.space": {"adapter.rank": []}}, ("'adapter.rank': expected a list",)),
    "value that is refused": (
        {"search.space": {"adapter.rank": [0, 1]}},
        ("search.space: adapter.rank: expected", "at least 1"),
    ),
    "value of another type": (
        {"search.space": {"adapter.rank": ["two"]}},
        ("search.space: adapter.rank: expected an integer", "'two'"),
    ),
    "grid over an interval": (
        {"search.searcher": "grid"},
        ("grid needs values", "list them for 'adapter.rank' in [search.space]"),
    ),
    "grid of too many": (
        {
            "search.searcher": "grid",
            "search.space": {"adapter.rank": [1, 2], "optimizer.lr": [1e-3, 1e-2]},
        },
        ("search.trials: the grid has 4 combinations", "raise trials"),
    ),
    "population over rank": (
        {"search.scheduler": "pbt"},
        ("search.scheduler: pbt", "'adapter.rank' fixes the adapter's shape", "use asha"),
    ),
    "method of a list": (
        {"adapter": [{"kind": "toy-lora"}], "search.over": ["adapter.kind"]},
        ("'adapter.kind' is for a single [adapter]", "'adapter.toy-lora.rank'"),
    ),
    "adapter that is not there": (
        {"adapter": [{"kind": "toy-lora"}], "search.over": ["adapter.lora.rank"]},
        ("no [[adapter]] named 'lora'", "toy-lora"),
    ),
    "unknown method": (
        {"search.over": ["adapter.kind"], "search.space": {"adapter.kind": ["loar"]}},
        ("adapter.kind", "did you mean 'lora'?"),
    ),
    "setting twice": (
        {"search.over": ["adapter.rank", "adapter.rank"]},
        ("search.over: 'adapter.rank' is there twice",),
    ),
}


def test_a_search_of_nothing(refused: Refused, write_run: Any) -> None:
    write_run()
    refused("tune run.toml", "run.toml: [search] is missing", "`over` and `metric`")


@pytest.mark.parametrize(PARAMETERS, SEARCHES.values(), ids=SEARCHES)
def test_a_wrong_search(refused: Refused, write_run: Any, changes: Any, says: Any) -> None:
    write_run({"search": dict(SEARCH)} | changes)
    refused("tune run.toml --out out", "run.toml", *says)


@pytest.mark.parametrize("setting", ["cpus", "gpus"])
def test_more_than_this_machine_has(
    refused: Refused, write_run: Any, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """It would wait for ever. A Ray of our own takes too long to start for one line."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", lambda *_, **__: None)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 4.0})
    write_run({"search": SEARCH | {setting: 4096}})
    refused("tune run.toml --out out", f"search.{setting}: 4096 for each trial", "lower it")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:99999"])
def test_no_cluster_there(refused: Refused, write_run: Any, address: str) -> None:
    write_run({"search": SEARCH})
    words = f"tune run.toml --out out --address {address}"
    refused(words, f"--address {address}: no Ray cluster answers there", "`ray start --head`")


UNREADABLE: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing": (lambda path: None, ("cannot be read (No such file", "give a run file")),
    "folder": (Path.mkdir, ("is a folder", "give a run file, such as run.toml")),
    "not TOML": (lambda path: path.write_text("steps: 3"), ("not valid TOML", "mend that line")),
    "not text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), ("is not text", "in TOML")),
    "empty": (lambda path: path.write_text(""), ("[backbone] is missing",)),
}


@pytest.mark.parametrize("command", ["fit", "tune"])
@pytest.mark.parametrize(("write", "says"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_run_file_that_cannot_be_read(
    refused: Refused, tmp_path: Path, command: str, write: Any, says: Any
) -> None:
    write(tmp_path / "my.toml")
    refused(f"{command} my.toml", "my.toml: ", *says)


# -- Data --------------------------------------------------------------------------------------


def picture(folder: Path, name: str = "cat.png") -> Path:
    folder.mkdir(exist_ok=True)
    Image.linear_gradient("L").convert("RGB").save(folder / name, "PNG")
    return folder / name


def cut(folder: Path) -> None:
    path = picture(folder)
    path.write_bytes(path.read_bytes()[:-200])


def one(name: str, text: str) -> Callable[[Path], None]:
    """A picture with a file beside it."""

    def make(folder: Path) -> None:
        picture(folder)
        (folder / name).write_text(text)

    return make


def fake(content: bytes) -> Callable[[Path], None]:
    return lambda folder: picture(folder, "cat.png").write_bytes(content) and None


SUBJECT = {"kind": "subject", "path": "photos", "trigger": "sks", "class_word": "cat"}
FOLDER = {"kind": "image-folder", "path": "photos", "trigger": "sks"}
DATA: dict[str, tuple[dict[str, Any], Callable[[Path], object], tuple[str, ...]]] = {
    "missing folder": (SUBJECT, lambda f: None, ("photos: no such folder", "check data.path")),
    "file": (SUBJECT, lambda f: f.write_text(""), ("photos: is a file", "the folder around it")),
    "empty folder": (SUBJECT, Path.mkdir, ("photos: holds no images", "put some there")),
    "cut short": (SUBJECT, cut, ("cat.png: damaged image", "replace or remove the file")),
    "text called .png": (SUBJECT, fake(b"I am no cat"), ("cat.png: not an image", "replace")),
    "zero bytes": (SUBJECT, fake(b""), ("cat.png: the file is empty", "replace or remove")),
    "trigger is the class": (
        SUBJECT | {"trigger": "cat"},
        picture,
        ("data: trigger: 'cat' is in the class word", "choose a rare word"),
    ),
    "empty trigger": (SUBJECT | {"trigger": " "}, picture, ("data: trigger: is empty", "rare")),
    "template": (
        SUBJECT | {"template": "a cat"},
        picture,
        ("data: template: 'a cat' has no place", "add {subject}"),
    ),
    "no class": (
        {key: value for key, value in SUBJECT.items() if key != "class_word"},
        picture,
        ("data.class_word", "missing"),
    ),
    "no caption": (FOLDER, picture, ("cat.png: has no caption", "write it to cat.txt")),
    "empty caption": (FOLDER, one("cat.txt", " \n"), ("cat.txt: the caption is empty",)),
    "caption without the trigger": (
        FOLDER,
        one("cat.txt", "a photo of a cat"),
        ("cat.png: its caption 'a photo of a cat' lacks the trigger 'sks'", "add it"),
    ),
    "list that is no JSON": (
        FOLDER,
        one("metadata.jsonl", "cat.png,a sks cat"),
        ("metadata.jsonl:1: not JSON", "each line is like"),
    ),
    "list with a lost file": (
        FOLDER,
        one("metadata.jsonl", '{"file_name": "dog.png", "text": "a sks dog"}'),
        ("metadata.jsonl:1: 'dog.png' is missing", "remove the line"),
    ),
    "list that leads away": (
        FOLDER,
        one("metadata.jsonl", '{"file_name": "../dog.png", "text": "a sks dog"}'),
        ("metadata.jsonl:1: '../dog.png' leads out of the folder",),
    ),
}


@pytest.mark.parametrize(("table", "make", "says"), DATA.values(), ids=DATA)
def test_wrong_data(
    refused: Refused, write_run: Any, tmp_path: Path, table: Any, make: Any, says: Any
) -> None:
    write_run({"data": table})
    make(tmp_path / "photos")
    refused("fit run.toml --out out", *says)


def test_a_search_on_wrong_data_does_not_begin(
    refused: Refused, write_run: Any, tmp_path: Path
) -> None:
    write_run({"data": SUBJECT, "search": SEARCH})
    cut(tmp_path / "photos")
    refused("tune run.toml --out out", "cat.png: damaged image")


def test_cat_needs_a_trigger(refused: Refused, write_run: Any, tmp_path: Path) -> None:
    data = {"kind": "image-folder", "path": "photos"}
    write_run({"data": data, "loss": [{"kind": "denoising"}, {"kind": "cat"}]})
    one("cat.txt", "a cat")(tmp_path / "photos")
    refused("fit run.toml --out out", "run.toml: loss: cat", "set data.trigger")


# -- Run folders -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for one finished run, made when first asked for."""
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def folder(finished: Path, graftwork: Any, write_run: Any, tmp_path: Path) -> Path:
    """A copy of a finished run, called `run`."""
    if not finished.exists():
        assert graftwork("fit", write_run(), "--out", finished).status == 0
    return Path(shutil.copytree(finished, tmp_path / "run"))


def interrupted(run: Path) -> None:
    """As if it had been killed after its last checkpoint."""
    for name in ("adapter", "samples"):
        shutil.rmtree(run / name)
    for name in ("outcome.json", "report.html"):
        (run / name).unlink()


def truncated_checkpoint(run: Path) -> None:
    interrupted(run)
    path = run / "checkpoints" / "step-000004" / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def lost_state(run: Path) -> None:
    interrupted(run)
    (run / "checkpoints" / "step-000004" / "state.json").unlink()


def checkpoint_of_another_rank(run: Path) -> None:
    interrupted(run)
    replace_in(run / "run.toml", "rank = 2", "rank = 3")


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def flip_a_bit(run: Path) -> None:
    path = run / "adapter" / "adapter.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut_adapter(run: Path) -> None:
    path = run / "adapter" / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_backbone(run: Path) -> None:
    replace_in(run / "run.toml", 'kind = "toy"', 'kind = "toy-wide"')


def uninstalled_method(run: Path) -> None:
    card = json.loads((run / "adapter" / "adapter.json").read_text())
    card |= {"method": "twist", "provider": "graftwork-twist 1.2"}
    (run / "adapter" / "adapter.json").write_text(json.dumps(card))


FOLDERS: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {
    "resume a run without its file": (
        "resume run",
        lambda run: (run / "run.toml").unlink(),
        ("run: not a run folder", "give one"),
    ),
    "resume a run with a broken file": (
        "resume run",
        lambda run: (run / "run.toml").write_text("[backbone"),
        ("run/run.toml: not valid TOML",),
    ),
    "resume a run with an edited file": (
        "resume run",
        lambda run: replace_in(run / "run.toml", "rank = 2", "rnak = 2"),
        ("run.toml: adapter.rnak: unknown key",),
    ),
    "resume from a cut checkpoint": (
        "resume run",
        truncated_checkpoint,
        ("step-000004: not a whole checkpoint", "delete it"),
    ),
    "resume without the state": (
        "resume run",
        lost_state,
        ("step-000004: not a whole checkpoint", "delete it"),
    ),
    "resume with another rank": (
        "resume run",
        checkpoint_of_another_rank,
        ("step-000004: ", "another adapter"),
    ),
    "unreadable outcome": (
        "resume run",
        lambda run: (run / "outcome.json").write_text("{"),
        ("outcome.json: cannot be read", "delete it and resume"),
    ),
    "sample an unfinished run": (
        "sample run",
        interrupted,
        ("run: this run has no trained adapter yet", "`graftwork resume`"),
    ),
    "evaluate an unfinished run": (
        "evaluate run",
        interrupted,
        ("run: this run has no trained adapter yet", "`graftwork resume`"),
    ),
    "export an unfinished run": (
        "export run --format diffusers --out out",
        interrupted,
        ("run: this run has no trained adapter yet", "`graftwork resume`"),
    ),
    "altered adapter": (
        "sample run",
        flip_a_bit,
        ("adapter.safetensors: cut short or altered", "copy the adapter again"),
    ),
    "cut adapter": (
        "evaluate run",
        cut_adapter,
        ("adapter.safetensors: cut short or altered", "copy the adapter again"),
    ),
    "lost weights": (
        "sample run",
        lambda run: (run / "adapter" / "adapter.safetensors").unlink(),
        ("adapter.safetensors: cannot be read", "copy the whole adapter folder"),
    ),
    "adapter of another backbone": (
        "sample run",
        other_backbone,
        ("adapter.json: ", "site", "load the backbone it was trained on"),
    ),
    "adapter whose plugin is gone": (
        "sample run",
        uninstalled_method,
        ("adapter.json: method 'twist' is not installed", "install graftwork-twist 1.2"),
    ),
    "format": (
        "export run --format diffuser --out out",
        lambda run: None,
        ("formats: unknown name 'diffuser'", "did you mean 'diffusers'?"),
    ),
    "format that has no place for it": (
        "export run --format diffusers --out out",
        lambda run: None,
        ("format 'diffusers': holds lora and dora, and toy-lora is none of them", "keep"),
    ),
    "no pictures": ("sample run --seeds 0", lambda run: None, ("--seeds: expected at least 1",)),
    "no sampling steps": ("sample run --steps 0", lambda run: None, ("--steps: expected", "1")),
    "guidance": ("sample run --guidance -1", lambda run: None, ("--guidance: expected", "0")),
    "a flag": (
        "sample run --seed 3",
        lambda run: None,
        ("unknown flag --seed", "did you mean 'seeds'?", "graftwork show tasks/text-to-image"),
    ),
    "endless guidance": ("sample run --guidance inf", lambda run: None, ("--guidance: expected",)),
    "a file to draw": ("sample run run/run.toml", lambda run: None, ("drawn from prompts",)),
    "text for a number": (
        "sample run --seeds four",
        lambda run: None,
        ("--seeds", "whole number", "'four'"),
    ),
    "strength": ("sample run --weight nan", lambda run: None, ("--weight: expected", "number")),
    "report of another folder": (
        "report run/samples",
        lambda run: None,
        ("run/samples: not a run folder", "give one"),
    ),
}


@pytest.mark.parametrize(("words", "damage", "says"), FOLDERS.values(), ids=FOLDERS)
def test_a_run_folder_that_does_not_serve(
    refused: Refused, folder: Path, words: str, damage: Any, says: Any
) -> None:
    damage(folder)
    refused(words, *says)


@pytest.mark.parametrize(
    "words",
    ["resume x", "report x", "evaluate x", "sample x", "export x --format diffusers --out y"],
)
@pytest.mark.parametrize("what", ["nothing", "empty folder", "file", "search of nothing"])
def test_no_run_there(refused: Refused, tmp_path: Path, words: str, what: str) -> None:
    if what == "empty folder":
        (tmp_path / "x").mkdir()
    elif what == "file":
        (tmp_path / "x").write_text("")
    elif what == "search of nothing":
        (tmp_path / "x" / "trials").mkdir(parents=True)
    refused(words, "error: x: ", "give one ")


def test_sine_lora_has_no_place_in_a_diffusers_file(
    refused: Refused, graftwork: Any, write_run: Any
) -> None:
    path = write_run({"adapter": {"kind": "sine-lora", "rank": 2}, "train.steps": 1})
    assert graftwork("fit", path, "--out", "sine").status == 0
    refused(
        "export sine --format diffusers --out out",
        "format 'diffusers': holds lora and dora, and sine-lora is none",
        "convert = 'svd' with a rank",
        "convert = 'diff' in 'kohya' or 'lycoris' (exact)",
    )


def test_a_run_of_several_has_to_be_told_which(
    refused: Refused, graftwork: Any, write_run: Any
) -> None:
    two = [{"kind": "toy-lora", "rank": 1}, {"kind": "lora", "rank": 2, "sites": ["middle"]}]
    path = write_run({"adapter": two, "train.steps": 1})
    refused("fit run.toml --adapter.rank 2", "adapter.rank: there is a list", "adapter.toy-lora")
    refused("fit run.toml --adapter.x.rank 2", "no [[adapter]] named 'x'", "add one")
    assert graftwork("fit", path, "--out", "two").status == 0
    says = "two: this run has 2 adapters (toy-lora, lora); name one, as two/adapter/toy-lora"
    refused("export two --format lycoris --out out", says)
    refused("resize two --rank 1 --out out", says)
    refused("compose two --out out", "compose: 'concatenate' takes lora", "toy-lora")
    shutil.rmtree("two/adapter/lora")
    for command in ("sample two", "evaluate two", "merge two --out out"):
        refused(command, "two: this run has no trained adapter yet", "`graftwork resume`")


def test_a_fit_that_nan_ends_says_so(graftwork: Any, write_run: Any, tmp_path: Path) -> None:
    """Not before it has begun: the folder stays, and says why."""
    said = graftwork("fit", write_run({"optimizer.lr": 1e30}), "--out", "out")
    assert said.status == 2
    assert "is nan; lower optimizer.lr" in said.err or "is inf; lower optimizer.lr" in said.err
    assert said.err.count("\n") == 1
    outcome = json.loads((tmp_path / "out" / "outcome.json").read_text())
    assert outcome["status"] == "failed"
    assert not (tmp_path / "out" / "adapter").exists()


def searched(run: Path) -> None:
    """As if the run were a search."""
    with (run / "run.toml").open("a") as file:
        file.write('\n[search]\nover = ["adapter.rank"]\nmetric = "redness"\n')


def lora(**changes: Any) -> Callable[[Path], None]:
    """A LoRA of rank 2 for the toy's `middle`, in LyCORIS's names, with some keys changed."""

    def make(run: Path) -> None:
        tensors = {
            "lycoris_middle.lora_down.weight": torch.ones(2, 8),
            "lycoris_middle.lora_up.weight": torch.ones(8, 2),
            "lycoris_middle.alpha": torch.tensor(3.0),
        }
        tensors |= {f"lycoris_{key}": value for key, value in changes.items()}
        known = {key: value for key, value in tensors.items() if value is not None}
        save_file(known, run.parent / "lora.safetensors")

    return make


def cut_lora(run: Path) -> None:
    lora()(run)
    path = run.parent / "lora.safetensors"
    path.write_bytes(path.read_bytes()[:-20])


NAN = {"middle.lora_up.weight": torch.full((8, 2), math.nan)}
LESS = {"middle.lora_up.weight": None}
EXCHANGE: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {
    # Settings of a format.
    "svd without a rank": (
        "export run --format lycoris --out out --format.convert svd",
        lambda run: None,
        ("format 'lycoris': convert: 'svd' needs a rank", "set rank"),
    ),
    "a rank for nothing": (
        "export run --format lycoris --out out --format.rank 4",
        lambda run: None,
        ("format 'lycoris': rank: is for convert = 'svd' alone", "leave it out"),
    ),
    "no such conversion": (
        "export run --format peft --out out --format.convert diff",
        lambda run: None,
        ("format 'peft': convert: expected 'svd'", "got 'diff'"),
    ),
    "rank in words": (
        "export run --format peft --out out --format.convert svd --format.rank eight",
        lambda run: None,
        ("format 'peft': rank: expected an integer", "'eight'"),
    ),
    "unknown setting of a format": (
        "export run --format lycoris --out out --format.rnak 4",
        lambda run: None,
        ("rnak: unknown key", "did you mean 'rank'?"),
    ),
    "setting of something else": (
        "export run --format lycoris --out out --adapter.rank 4",
        lambda run: None,
        ("export: unknown flag --adapter.rank", "--format.KEY and --backbone.KEY"),
    ),
    "no name for the layers": (
        "export run --format kohya --out out --format.convert diff",
        lambda run: None,
        ("format 'kohya': '", "neither the UNet nor a text encoder", "names = 'wrapper'"),
    ),
    "export of a search": (
        "export run --format lycoris --out out",
        searched,
        ("run: is a search of many runs; give the best, run/best",),
    ),
    "sample of a search": (
        "sample run",
        searched,
        ("run: is a search of many runs; give the best, run/best",),
    ),
    # Files to import.
    "nothing to import": (
        "import lora.safetensors --out out --run run",
        lambda run: None,
        ("lora.safetensors: does not exist", "`graftwork list formats`"),
    ),
    "import of what is ours": (
        "import run --out out",
        lambda run: None,
        ("run: is a graftwork adapter already",),
    ),
    "import without a backbone": (
        "import lora.safetensors --out out",
        lora(),
        ("lora.safetensors: lies in no run", "--run RUN", "--backbone.kind NAME"),
    ),
    "import on no such backbone": (
        "import lora.safetensors --out out --backbone.kind tooy",
        lora(),
        ("backbone.kind", "'tooy'", "did you mean 'toy'?"),
    ),
    "import with no such run file": (
        "import lora.safetensors --out out --run nowhere.toml",
        lora(),
        ("nowhere.toml: cannot be read", "give a run file"),
    ),
    "import into a folder in use": (
        "import lora.safetensors --out run --run run",
        lora(),
        ("run: exists already", "choose another --out"),
    ),
    "cut file": (
        "import lora.safetensors --out out --run run",
        cut_lora,
        ("lora.safetensors: missing, cut short or altered", "copy the adapter again"),
    ),
    "NaN": (
        "import lora.safetensors --out out --run run",
        lora(**NAN),
        ("lora.safetensors: 'lycoris_middle.lora_up.weight' holds NaN", "another checkpoint"),
    ),
    "half of a LoRA": (
        "import lora.safetensors --out out --run run",
        lora(**LESS),
        ("lora.safetensors: 'middle': 'lora_up.weight' is missing", "copy the adapter again"),
    ),
    "a key of another method": (
        "import lora.safetensors --out out --run run",
        lora(**{"middle.omega": torch.ones(1)}),
        ("'lycoris_middle.omega' is of a kind that graftwork does not read",),
    ),
    "a layer of another model": (
        "import lora.safetensors --out out --run run",
        lora(**{"inner.lora_down.weight": torch.ones(2, 8)}),
        ("'lycoris_inner' is no layer of this model", "the backbone it was made for"),
    ),
    "a file for another size": (
        "import lora.safetensors --out out --run run",
        lora(**{"middle.lora_down.weight": torch.ones(2, 5)}),
        ("lora.safetensors: made for another model",),
    ),
    "half of an adapter": (
        "merge run/adapter/adapter.safetensors --out out --run run",
        lambda run: None,
        ("adapter.safetensors: neither a run nor an adapter", "an adapter's folder"),
    ),
    # Several adapters.
    "nothing to merge": ("merge --out out", lambda run: None, ("merge: ADAPTERS",)),
    "merge into a model that cannot be saved": (
        "merge run --out out",
        lambda run: None,
        ("ToyBackbone cannot be saved as a model of its own", "keep the adapter"),
    ),
    "weights for others": (
        "merge run run --out out --weights 1",
        lambda run: None,
        ("--weights: 1 for 2 adapters", "give one for each"),
    ),
    "weight not a number": (
        "compose run --out out --weights nan",
        lambda run: None,
        ("--weights: expected ordinary numbers such as 0.5",),
    ),
    "compose what is no LoRA": (
        "compose run --out out",
        lambda run: None,
        ("compose: 'concatenate' takes lora", "is toy-lora; use 'svd'"),
    ),
    "compose in no known way": (
        "compose run --out out --how sum",
        lambda run: None,
        ("--how: got 'sum', expected one of", "concatenate"),
    ),
    "a rank that nobody asked for": (
        "compose run --out out --rank 2",
        lambda run: None,
        ("compose: 'concatenate' fixes the rank itself", "use 'svd'"),
    ),
    "rank zero": (
        "compose run --out out --how svd --rank 0",
        lambda run: None,
        ("--rank: expected at least 1, got 0",),
    ),
    # Another rank.
    "neither rank nor energy": (
        "resize run --out out",
        lambda run: None,
        ("resize: give --rank or --energy, and not both",),
    ),
    "rank and energy": (
        "resize run --out out --rank 1 --energy 0.5",
        lambda run: None,
        ("resize: give --rank or --energy, and not both",),
    ),
    "more than all energy": (
        "resize run --out out --energy 1.5",
        lambda run: None,
        ("--energy: expected a share above 0 and up to 1, got 1.5",),
    ),
    "resize a search": (
        "resize run --out out --rank 1",
        searched,
        ("run: is a search of many runs; give the best, run/best",),
    ),
}


@pytest.mark.parametrize(("words", "damage", "says"), EXCHANGE.values(), ids=EXCHANGE)
def test_files_of_other_tools_and_several_adapters(
    refused: Refused, folder: Path, words: str, damage: Any, says: Any
) -> None:
    damage(folder)
    refused(words, *says)


TAKEN: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {
    "in use": ("fit run.toml --out run", lambda _: None, ("run: exists already", "--out")),
    "file": (
        "fit run.toml --out out",
        lambda here: (here / "out").write_text(""),
        ("out: exists already", "choose another --out"),
    ),
    "under a file": (
        "fit run.toml --out run.toml/out",
        lambda _: None,
        ("run.toml/out: ", "cannot be written to", "choose another --out"),
    ),
    "search": ("tune run.toml --out run", lambda _: None, ("run: exists already", "--out")),
    "samples": ("sample run --out run", lambda _: None, ("run: exists already", "--out")),
    "export": (
        "export run --format diffusers --out run",
        lambda _: None,
        ("run: exists already", "choose another --out"),
    ),
}


@pytest.mark.parametrize(("words", "make", "says"), TAKEN.values(), ids=TAKEN)
def test_a_place_that_is_taken(
    refused: Refused, folder: Path, write_run: Any, tmp_path: Path, words: str, make: Any, says: Any
) -> None:
    write_run({"search": SEARCH})
    make(tmp_path)
    refused(words, *says)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(refused: Refused, write_run: Any, tmp_path: Path) -> None:
    write_run()
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused("fit run.toml --out locked/out", "locked cannot be written to; choose another --out")


# -- Words -------------------------------------------------------------------------------------

WORDS = {
    "command": ("fti run.toml", ("unknown command 'fti'", "did you mean 'fit'?")),
    "flag for a command": ("--hlep", ("--hlep: unknown flag", "did you mean '--help'?")),
    "flag": ("fit run.toml --ot x", ("fit: unknown flag --ot", "did you mean '--out'?")),
    "flag without a value": ("fit run.toml --out", ("fit: --out: a value is missing", "--help")),
    "nothing to fit": ("fit", ("fit: RUN-FILE is missing", "graftwork fit examples/cat.toml")),
    "too many words": ("fit run.toml run.toml", ("fit: ", "run.toml", "--help")),
    "no format": ("export run --out x", ("export: --format is missing",)),
    "override without a value": ("fit run.toml --adapter.rank", ("--adapter.rank", "=VALUE")),
    "override of nothing": (
        "fit run.toml --adapter.rnak 3",
        ("run.toml: adapter.rnak: unknown key", "did you mean 'rank'?"),
    ),
    "override of a lost loss": (
        "fit run.toml --loss.dog.weight 3",
        ("loss.dog.weight: there is no [[loss]] of kind 'dog'", "add one"),
    ),
    "override through a number": ("fit run.toml --seed.x 3", ("seed.x: leads to no table",)),
    "override of a type": ("fit run.toml --train.steps many", ("train.steps: expected an int",)),
    "override with an empty part": ("fit run.toml --train..steps 3", ("dotted key and a value",)),
    "show": ("show loar", ("loar: no plugin has this name", "did you mean 'lora'?")),
    "show with a kind": ("show adapters/loar", ("adapters: unknown name 'loar'", "'lora'?")),
    "show with a wrong kind": ("show adaptrs/lora", ("unknown kind 'adaptrs'", "'adapters'?")),
    "show nothing": ("show", ("show: NAME is missing", "graftwork show adapters/lora")),
    "list": ("list adaptrs", ("list: unknown kind 'adaptrs'", "did you mean 'adapters'?")),
    "cite": ("cite lora dorra", ("dorra: no plugin has this name", "did you mean 'dora'?")),
    "cite nothing": ("cite", ("cite: NAMES is missing",)),
    "schema": ("schema losses/catt", ("losses: unknown name 'catt'", "did you mean 'cat'?")),
    "new thing": ("new adaptr x", ("kind: got 'adaptr'", "'adapter'")),
    "new name": ("new adapter My_Method", ("'My_Method' is no name", "such as my-method")),
    "new name that is taken": (
        "new adapter lora",
        ("'lora' is an adapter of graftwork-adapters", "choose another name"),
    ),
    "new folder that is taken": (
        "new adapter taken",
        ("graftwork-taken: exists already", "choose another name or remove it"),
    ),
    "new under a file": ("new adapter mine --into run.toml", ("graftwork-mine: cannot write it",)),
}


@pytest.mark.parametrize(("words", "says"), WORDS.values(), ids=WORDS)
def test_a_wrong_word(
    refused: Refused, write_run: Any, tmp_path: Path, words: str, says: Any
) -> None:
    write_run()
    (tmp_path / "graftwork-taken").mkdir()
    refused(words, *says)


# -- Plugins -----------------------------------------------------------------------------------

ADAPTER = """
from graftwork.core import AdapterSpec, hookimpl

@hookimpl
def adapters():
    yield AdapterSpec(
        name="{name}", target="{target}", summary="turns", family="weight"{more}
    )
"""


def adapter(name: str = "twist", target: str = "no_such_module:Twist", more: str = "") -> str:
    return ADAPTER.format(name=name, target=target, more=more)


def test_a_broken_plugin(
    refused: Refused, graftwork: Any, write_run: Any, install_plugin: Any, tmp_path: Path
) -> None:
    install_plugin(snapped="import no_such_module\n" + adapter())
    listed = graftwork("list", "adapters")
    assert listed.status == 0
    assert "toy-lora" in listed.out
    assert listed.err == "broken: graftwork-snapped; see: graftwork doctor\n"
    write_run({"adapter": {"kind": "twist"}})
    refused(
        "fit run.toml --out out",
        "adapter.kind: adapters: unknown name 'twist'",
        "broken: graftwork-snapped; see: graftwork doctor",
    )


def test_doctor_names_a_broken_plugin(
    graftwork: Any, install_plugin: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("graftwork.cli.doctor.findings", lambda: iter(()))
    install_plugin(bent="import no_such_module\n" + adapter())
    said = graftwork("doctor")
    assert said.status == 1
    assert "graftwork-bent" in said.out
    assert "No module named 'no_such_module'" in said.out
    assert "Traceback" not in said.out + said.err


def test_a_plugin_whose_code_is_missing(
    refused: Refused, write_run: Any, install_plugin: Any
) -> None:
    install_plugin(hollow=adapter())
    write_run({"adapter": {"kind": "twist"}})
    refused("fit run.toml --out out", "twist", "'no_such_module' is not installed", "pip install")


def test_a_plugin_whose_class_is_missing(
    refused: Refused, write_run: Any, install_plugin: Any
) -> None:
    install_plugin(lost=adapter(target="graftwork_lost:Twits"))
    write_run({"adapter": {"kind": "twist"}})
    refused("fit run.toml --out out", "twist", "graftwork_lost:Twits: there is no 'Twits'")


def test_two_plugins_of_one_name(refused: Refused, write_run: Any, install_plugin: Any) -> None:
    install_plugin(left=adapter(), right=adapter())
    write_run({"adapter": {"kind": "twist"}})
    both = ("'twist' is offered by both", "graftwork-left 1.0", "graftwork-right 1.0")
    refused("fit run.toml --out out", *both, "uninstall one of them", "GRAFTWORK_BLOCK")
    refused("list adapters", *both)
    refused("show twist", *both)


def test_a_plugin_that_is_kept_out(
    refused: Refused, write_run: Any, install_plugin: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("GRAFTWORK_BLOCK", "graftwork-calm")
    install_plugin(calm=adapter())
    write_run({"adapter": {"kind": "twist"}})
    refused("fit run.toml --out out", "'twist'", "kept out by GRAFTWORK_BLOCK: graftwork-calm")


# -- The installed script ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("fit no.toml", ("no.toml: cannot be read", "give a run file")),
        ("fit run.toml --adapter.rnak 3", ("adapter.rnak: unknown key", "'rank'?")),
        ("fit run.toml --adapter.sites midle --out out", ("adapter.sites: 'midle'", "middle")),
        ("resume nothing", ("nothing: no such run folder", "give one")),
        ("fti run.toml", ("unknown command 'fti'", "did you mean 'fit'?")),
    ],
)
def test_the_installed_script(
    refused: Refused, console: Any, write_run: Any, words: str, says: Any
) -> None:
    write_run()
    refused(words, *says, run=console)
