"""Answers, cached as uncached and in batches as alone; and models as they are saved."""

import json
import shutil

import pytest
import torch

from graftwork.backbones.videollm.prompt import Prompt
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.video.chat import Decoding


@pytest.fixture
def records(film, record):
    """With one clip, without, with two of unlike lengths, and in the middle of a dialogue."""
    return [
        record("<video> where does it move?", "", clips=[film(0)]),
        record("what is red?", ""),
        record("is <video> or <video> first?", "", clips=[film(1), film(2, (0.0, 0.1, 0.2))]),
        record("<video> where?", "left", "and then?", "", clips=[film(3)]),
    ]


def greedy(made, record, tokens):
    """The likeliest token each time, the whole prompt read anew for each."""
    prompt = made.llm.write(record, made.seeing.of(record), answered=False)
    ids, stops = prompt.ids.tolist(), made.llm.dialogues.ending.ids
    said = []
    for _ in range(tokens):
        grown = Prompt.of(ids + said, [False] * len(ids + said), prompt.seen)
        batch = made.llm.rows([grown], left=False)
        logits = made.module(**made.llm.inputs([grown], batch), use_cache=False).logits[0, -1]
        logits[made.llm.unsaid] = -torch.inf
        said.append(int(logits.argmax()))
        if said[-1] in stops:
            break
    return made.llm.tokenizer.decode(said, skip_special_tokens=True).strip()


@torch.no_grad()
def test_answers_are_the_likeliest_tokens_in_batches_too(made, records):
    decoding = Decoding(tokens=6)
    together = made.answers(records, decoding)
    assert together == [greedy(made, each, 6) for each in records]
    assert len(set(together)) == len(records)


def test_an_answer_ends_with_its_token(made, records):
    """A head that always says the end says nothing."""
    with torch.no_grad():
        made.module.get_output_embeddings().weight.zero_()
    prompts = [made.llm.write(each, made.seeing.of(each), answered=False) for each in records[:1]]
    batch = made.llm.rows(prompts, left=True)
    ending = made.llm.dialogues.ending
    with torch.no_grad():
        head = made.module.get_output_embeddings()
        head.register_forward_hook(
            lambda _, __, logits: logits.index_fill(-1, torch.tensor(ending.ids), 9.0)
        )
        ids = made.module.generate(
            **made.llm.inputs(prompts, batch),
            **ending.settings(batch.ids.shape[1]),
            do_sample=False,
            max_new_tokens=5,
            pad_token_id=made.llm.tokenizer.pad_token_id,
        )
    assert ids.shape[1] == batch.ids.shape[1] + 1
    assert made.answers(records, Decoding(tokens=5)) == [""] * len(records)


def test_what_the_folder_prefers_does_not_count(family_folder, backbone, records, tmp_path):
    """Qwen2.5-VL's folders draw answers by default, and punish repetitions."""
    folder = shutil.copytree(family_folder("qwen2_5_vl"), tmp_path / "copy")
    plain = backbone(folder).answers(records, Decoding(tokens=6))
    path = folder / "generation_config.json"
    prefers = {"do_sample": True, "temperature": 2.0, "top_k": 3, "repetition_penalty": 9.0}
    path.write_text(json.dumps(json.loads(path.read_text()) | prefers))
    made = backbone(folder)
    assert made.module.generation_config.repetition_penalty == 9.0
    assert made.answers(records, Decoding(tokens=6)) == plain


def test_it_is_saved_whole(made, folder, backbone, records, tmp_path):
    made.save(tmp_path / "saved")
    again = backbone(tmp_path / "saved")
    assert again.fingerprint() == made.fingerprint()
    assert again.llm.looks() == made.llm.looks()
    decoding = Decoding(tokens=4)
    assert again.answers(records, decoding) == made.answers(records, decoding)


def test_it_is_not_saved_with_adapters(family_folder, backbone, tmp_path, toy_lora):
    made = backbone(family_folder("qwen3_vl"))
    graft(made.module, "toy-lora", {}, sites=made.default_sites())
    with pytest.raises(GraftworkError, match="merge or detach them first"):
        made.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
