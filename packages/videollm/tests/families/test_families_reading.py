"""What a model is given: the same as by its own processor and its own pixels."""

import shutil

import pytest
import torch
from transformers.video_utils import VideoMetadata

from graftwork.backbones.videollm.families.frames import metadata, processed
from graftwork.core.errors import GraftworkError
from graftwork.video.chat import Decoding
from graftwork.video.clip import Clip
from graftwork.video.reading.sampling import FrameSampling

ANY = FrameSampling()
QUESTIONS = ["<video>\nwhere does it move?", "<video> <video>\nwhich is first?", "what is red?"]


def direct(backbone, question, sources):
    """What transformers itself makes of a question: template, processor and pixels in one."""
    video = [{"type": "video"}] * len(sources)
    words = question.replace("<video>", "").strip()
    content = [*video, {"type": "text", "text": words}]
    text = backbone.llm.processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    if not sources:
        return backbone.llm.processor(text=[text], return_tensors="pt")
    clips = [source.read(ANY) for source in sources]
    told = [
        VideoMetadata(
            total_num_frames=len(clip) * 18,
            fps=24.0,
            frames_indices=[round(time * 24) for time in clip.times],
            duration=clip.times[-1] + 1 / 24,
        )
        for clip in clips
    ]
    return backbone.llm.processor(
        text=[text],
        videos=[clip.frames for clip in clips],
        video_metadata=told,
        do_sample_frames=False,
        return_tensors="pt",
    )


@pytest.mark.parametrize("question", QUESTIONS)
def test_tokens_and_logits_are_those_of_transformers_itself(made, film, record, question):
    sources = [film(seed) for seed in range(question.count("<video>"))]
    asked = record(question, "", clips=sources)
    prompt = made.llm.write(asked, made.seeing.of(asked), answered=False)
    wanted = direct(made, question, sources)
    assert prompt.ids.tolist() == wanted["input_ids"][0].tolist()
    with torch.no_grad():
        expected = made.module(**wanted).logits
        batch = made.llm.rows([prompt], left=False)
        found = made.module(**made.llm.inputs([prompt], batch)).logits
    assert torch.allclose(found, expected, atol=1e-5)


def test_pixels_matter(made, film, record):
    """The test above would pass a model that is blind."""
    found = []
    for seed in (0, 1):
        asked = record("<video> what is it?", "", clips=[film(seed)])
        prompt = made.llm.write(asked, made.seeing.of(asked), answered=False)
        batch = made.llm.rows([prompt], left=False)
        with torch.no_grad():
            found.append(made.module(**made.llm.inputs([prompt], batch)).logits[0, -1])
    assert (found[0] - found[1]).abs().max() > 1e-3


def test_frames_are_taken_as_they_were_sampled(made, film):
    """Some processors sample by themselves; a long clip shows it."""
    times = tuple(n / 10 for n in range(24))
    long, short = film(0, times, 8, 8), film(0, times[:6], 8, 8)
    rows = [made.seeing.encode(each.read(ANY))["rows"].shape[-2] for each in (long, short)]
    if made.module.config.model_type == "llava_onevision":
        rows = [count - 1 for count in rows]  # one row ends a clip
    assert rows[0] == 4 * rows[1]


def test_positions_follow_the_seconds(family_folder, backbone, film):
    made = backbone(family_folder("qwen2_5_vl"))
    seen = made.seeing.encode(film(0, (0.0, 0.25, 0.5, 0.75, 1.0)).read(ANY))
    assert seen["second_per_grid_ts"].tolist() == [0.5]  # two frames a patch
    assert seen["video_grid_thw"].tolist() == [[3, 8, 8]]


def test_timestamps_follow_the_seconds(family_folder, backbone, film):
    def text(family, *times):
        seen = backbone(family_folder(family)).seeing.encode(film(0, times).read(ANY))
        return bytes(seen["text"].tolist()).decode()

    qwen = text("qwen3_vl", 0.0, 1.0, 2.0, 3.0, 4.0)
    assert [part.split(">")[0] for part in qwen.split("<")[1:] if "seconds" in part] == [
        "0.5 seconds",
        "2.5 seconds",
        "4.0 seconds",
    ]
    smol = text("smolvlm", 0.0, 30.0, 62.5)
    assert [smol.count(time) for time in ("00:00:", "00:30:", "01:02:")] == [1, 1, 1]
    assert "three frames from a 0:01:02 " in smol


def test_times_are_told_exactly():
    clip = Clip("c", torch.zeros(3, 3, 8, 8, dtype=torch.uint8), (0.04, 1.21, 2.38))
    told = metadata(clip)
    assert told.timestamps == list(clip.times)
    assert told.sampled_fps == pytest.approx(1 / 1.17)
    one = metadata(Clip("c", clip.frames[:1], (0.0,)))
    assert one.timestamps == [0.0]
    assert one.sampled_fps == 1.0


def test_a_picture_is_a_clip_of_one_frame(made, film, record):
    picture = film(3, (0.0,), 20, 30)
    asked = record("<image> what is it?", "red", clips=[picture], options=("red", "left"))
    assert len(set(made.likelihoods(asked))) == 2


def test_what_is_cached_gives_the_same(folder, backbone, film, record, tmp_path):
    asked = record("<video> <video> which?", "left", clips=[film(0), film(1)], options=("left",))
    fresh = backbone(folder, cache=str(tmp_path)).likelihoods(asked)
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 2
    copy = shutil.copytree(folder, tmp_path / "copy")  # the cache is another folder's too
    again = backbone(copy, cache=str(tmp_path)).likelihoods(asked)
    assert again == fresh
    assert sorted(tmp_path.rglob("??/*.safetensors")) == files


def test_another_processing_sees_anew(family_folder, backbone, film):
    keys = set()
    for change in (False, True):
        made = backbone(family_folder("video_llava"))
        if change:
            made.llm.processor.video_processor.image_mean = [0.5, 0.5, 0.5]
        keys.add(made.seeing.key(film(0)))
    assert len(keys) == 2


def test_sizes_of_another_model(family_folder, backbone, film, tmp_path):
    copy = shutil.copytree(family_folder("internvl"), tmp_path / "copy")
    config = copy / "processor_config.json"
    config.write_text(config.read_text().replace('"image_seq_length": 4', '"image_seq_length": 9'))
    with pytest.raises(GraftworkError, match=r"36 times for a clip of .* makes 16 rows"):
        backbone(copy).seeing.encode(film(0).read(ANY))


def test_a_clip_that_a_processor_cannot_take(family_folder, backbone, film, record):
    made = backbone(family_folder("qwen2_5_vl"))
    thin = film(0, height=1, width=900)
    with pytest.raises(GraftworkError, match=r"film 0: Qwen2_5_VLProcessor cannot take it \(abs"):
        processed(made.llm.processor, thin.read(ANY))
    one, other = film(1), film(0, height=1, width=901)
    spoilt = record("<video> what?", "", clips=[thin])
    for refused in (made.look, lambda records: made.answers(records, Decoding())):
        with pytest.raises(GraftworkError, match="a record: film 0: Qwen2_5_VLProcessor cannot"):
            refused([spoilt])
    records = [spoilt, record("<video> <video>?", "", clips=[one, other])]
    assert made.look(records, tolerant=True) == {thin, other}
    assert made.seeing.key(one) in made.seeing.store


def test_sizes_of_another_model_are_nobodys_clip(family_folder, backbone, film, record, tmp_path):
    """They are wrong for every clip, so none is passed over for it."""
    copy = shutil.copytree(family_folder("internvl"), tmp_path / "copy")
    config = copy / "processor_config.json"
    config.write_text(config.read_text().replace('"image_seq_length": 4', '"image_seq_length": 9'))
    with pytest.raises(GraftworkError, match=r"a record: .*copy: the processor writes .* 36 times"):
        backbone(copy).look([record("<video> what?", "", clips=[film(0)])], tolerant=True)
