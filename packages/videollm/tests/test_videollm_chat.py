"""A Valley that is asked in the words of its tokenizer's chat template, or in its own."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graftwork.backbones.videollm.prompt import Prompt
from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.core.errors import GraftworkError
from graftwork.testing.toy_records import ToyClip, ToyRecords
from graftwork.video.chat import Decoding
from graftwork.video.record import Record, Turn

FOLDERS = ["chat_folder", "valley_folder"]


def backbone(folder: Path) -> ValleyBackbone:
    return ValleyBackbone(ValleySettings(path=str(folder), workers=0))


@pytest.fixture(params=FOLDERS)
def made(request: pytest.FixtureRequest) -> ValleyBackbone:
    """With a chat template, and without."""
    return backbone(request.getfixturevalue(request.param))


@pytest.fixture
def records() -> list[Record]:
    """With a clip, without, with two, and in the middle of a dialogue."""
    first, second = Turn("<video> where does it move?", "left"), Turn("and the color?", "red")
    return [
        Record(name="one", clips=(ToyClip(0),), turns=(first,), options=("left", "up", "nothing")),
        Record(name="none", clips=(), turns=(second,), options=("red", "what do you see")),
        Record(
            name="two",
            clips=(ToyClip(1), ToyClip(2, frames=3)),
            turns=(Turn("is <video> or <video> first?", "right"),),
        ),
        Record(name="later", clips=(ToyClip(3),), turns=(first, second), options=("red", "up")),
    ]


@torch.no_grad()
def logits(made: ValleyBackbone, prompt: Prompt, said: list[int]) -> Tensor:
    """Of every token, the whole read at once and nothing kept."""
    ids = [*prompt.ids.tolist(), *said]
    batch = made.llm.rows([Prompt.of(ids, [False] * len(ids))], left=False)
    return made.module(**made.llm.inputs([prompt], batch), use_cache=False).logits[0].double()


def greedy(made: ValleyBackbone, record: Record, tokens: int) -> str:
    """The likeliest token each time, up to what ends an answer."""
    prompt = made.llm.write(record, made.seeing.of(record), answered=False)
    words, chat = made.llm.tokenizer, made.module.config.template != "valley"
    ends = ["</s>", "<|im_end|>"] if chat and words.chat_template else ["</s>", "###"]
    said: list[int] = []
    while len(said) < tokens:
        last = logits(made, prompt, said)[-1]
        last[made.module.config.video_token_id] = -torch.inf
        if (token := int(last.argmax())) in words.convert_tokens_to_ids(ends):
            break
        said.append(token)
    return str(words.decode(said, skip_special_tokens=True)).strip()


def test_answers_are_the_likeliest_tokens(made: ValleyBackbone, records: list[Record]) -> None:
    decoding = Decoding(tokens=8)
    together = made.answers(records, decoding)
    assert together == [greedy(made, each, 8) for each in records]
    assert together == ["".join(made.stream(each, decoding)) for each in records]
    assert len(set(together)) == len(records)


def test_likelihoods_are_of_the_words_and_what_ends_them(
    made: ValleyBackbone, records: list[Record]
) -> None:
    words = made.llm.tokenizer
    end = ["<|im_end|>"] if words.chat_template else ["###"]
    for record in records:
        prompt = made.llm.write(record, made.seeing.of(record), answered=False)
        wanted = []
        for option in record.options:
            said = words.convert_tokens_to_ids([*option.split(), *end])
            found = logits(made, prompt, said).log_softmax(-1)[-len(said) - 1 : -1]
            wanted.append(found.gather(1, torch.tensor(said)[:, None]).mean().item())
        assert made.likelihoods(record) == pytest.approx(wanted, abs=1e-4)


@pytest.fixture
def says() -> Iterator[Callable[[ValleyBackbone, list[str]], None]]:
    """Makes a model say certain tokens, whatever it is asked, and then the last of them on."""
    handles = []

    def make(made: ValleyBackbone, tokens: list[str]) -> None:
        left = made.llm.tokenizer.convert_tokens_to_ids(tokens)

        def speak(_: object, __: object, found: Tensor) -> Tensor:
            token = left.pop(0) if len(left) > 1 else left[0]
            return torch.zeros_like(found).index_fill(-1, torch.tensor(token), 9.0)

        handles.append(made.module.get_output_embeddings().register_forward_hook(speak))

    yield make
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(
    ("folder", "end"), [("chat_folder", "<|im_end|>"), ("valley_folder", "###")]
)
def test_an_answer_ends_with_what_ends_it(
    request: pytest.FixtureRequest,
    records: list[Record],
    says: Callable[[ValleyBackbone, list[str]], None],
    folder: str,
    end: str,
) -> None:
    made = backbone(request.getfixturevalue(folder))
    says(made, ["left", "up", end, "red"])
    assert made.answers(records[:1], Decoding(tokens=9)) == ["left up"]


def test_a_step_learns_the_same_tokens_as_the_answers(made: ValleyBackbone) -> None:
    examples = made.prepare(ToyRecords())
    step = made.step(examples, [0, 1], needs=frozenset({"prediction"}), generator=torch.Generator())
    said = made.llm.tokenizer.decode(step.targets).split()
    end = "<|im_end|>" if made.llm.tokenizer.chat_template else "###"
    assert said == ["left", end, "right", end, "red", end]


def test_the_configuration_says_whose_words(
    chat_folder: Path, records: list[Record], tmp_path: Path
) -> None:
    folder = shutil.copytree(chat_folder, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"template": "valley"}))
    made = backbone(folder)
    prompt = made.llm.write(records[1], [], answered=True)
    assert "### Human: and the color? ### Assistant: red ###" in made.llm.tokenizer.decode(
        prompt.ids
    )
    assert made.answers(records, Decoding(tokens=8)) == [greedy(made, each, 8) for each in records]


def test_a_template_that_will_not_do(chat_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(chat_folder, tmp_path / "copy")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    with pytest.raises(GraftworkError, match=r"copy: tokenizer: chat_template: .*\(no") as caught:
        backbone(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert "write 'template': 'valley' into config.json" in str(caught.value)


def test_a_tokenizer_that_pads_with_nothing(valley_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(valley_folder, tmp_path / "copy")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"pad_token": None}))
    with pytest.raises(GraftworkError, match="copy: tokenizer: has no pad_token; give it one"):
        backbone(folder)
