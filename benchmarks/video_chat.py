"""What a training step of a video LLM costs, and what it need not.

    python benchmarks/video_chat.py [rounds=5]

A Valley with fresh weights: a tower of 12 blocks, 384 wide, 64 patches; a LLaMA of 6 layers, 512
wide; LoRA of rank 8 on it; fp32. Four questions, and what they cost in the same process:

- a step from kept features, against encoding the frames, or decoding and encoding the film;
- batches of records of like length, against any records padded to the longest;
- T-v3 over all patches in one call, against the loop over patches that the release has;
- the rows of a clip, pooled over time, against all patches of all frames.

Times are CPU seconds, ratios medians over interleaved rounds.
"""

import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedTokenizerFast

from graftwork.backbones.videollm.seen import Seen, Store
from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.temporal import DeltaTransformer, sinusoid
from graftwork.backbones.videollm.valley.tokens import add_visual_tokens
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.nn import graft
from graftwork.train.seeds import batch_indices
from graftwork.video.clip import Clip
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record, Turn
from graftwork.video.source import ClipSource
from measure import interleaved, kept_bytes, ratios

WIDTH, PATCHES, FRAMES = 512, 64, 8


def model(folder: Path) -> ValleyBackbone:
    """A Valley of fresh weights with LoRA on its decoder."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "###": 3} | {f"w{k}": k + 4 for k in range(2000)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    config = ValleyConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=384,
            intermediate_size=1536,
            num_hidden_layers=12,
            num_attention_heads=6,
            image_size=112,
            patch_size=14,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=1376,
            num_hidden_layers=6,
            num_attention_heads=8,
            max_position_embeddings=4096,
            bos_token_id=1,
            eos_token_id=2,
        ),
        temporal="delta",
        system="",
    )
    torch.manual_seed(0)
    made = ValleyForConditionalGeneration(config)
    add_visual_tokens(tokenizer, made)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    backbone = ValleyBackbone(ValleySettings(path=str(folder), frames=FRAMES, workers=0))
    graft(backbone.module, "lora", {"rank": 8}, sites=backbone.default_sites())
    return backbone


def film(path: Path) -> Path:
    """Ten seconds of 320 x 180 in H.264."""
    noise = np.random.default_rng(0).integers(0, 255, (180, 640, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(250):
            view = np.ascontiguousarray(noise[:, number : number + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Held(ClipSource):
    """A clip whose frames are in memory."""

    frames: Clip

    @property
    def name(self) -> str:
        return "held"

    def key(self, sampling: FrameSampling) -> str:
        return f"held {sampling!r}"

    def read(self, sampling: FrameSampling) -> Clip:
        return self.frames


class Questions(VideoInstructions):
    """One clip, asked about at different lengths."""

    def __init__(self, source: ClipSource, answers: Sequence[int]) -> None:
        self.source, self.answers = source, answers

    def __len__(self) -> int:
        return len(self.answers)

    def check(self) -> None: ...

    def hash(self) -> str:
        return "questions"

    def record(self, index: int) -> Record:
        answer = " ".join(f"w{k}" for k in range(self.answers[index]))
        return Record(name=str(index), clips=(self.source,), turns=(Turn("<video> w1", answer),))


class Forgetting(Store):
    """Keeps nothing, as trainers do that encode at every step."""

    def get(self, key: str, make: Callable[[], Seen]) -> Seen:
        return make()


def step(backbone: ValleyBackbone, examples: object, indices: Sequence[int]) -> None:
    """One training step without the optimiser's."""
    made = backbone.step(
        examples, indices, needs=frozenset({"prediction"}), generator=torch.Generator()
    )
    nn.functional.cross_entropy(made.logits, made.targets).backward()


def features(backbone: ValleyBackbone, path: Path, rounds: int) -> None:
    """Kept features against making them anew."""
    sampling = FrameSampling(frames=FRAMES)
    source = FileSource(path)
    kept, held = Questions(source, [20] * 4), Questions(Held(source.read(sampling)), [20] * 4)
    prepared = {kept: backbone.prepare(kept), held: backbone.prepare(held)}
    keeping, forgetting = backbone.seeing.store, Forgetting(None, 0)

    def run(data: Questions, store: Store) -> Callable[[], None]:
        def call() -> None:
            backbone.seeing.store = store
            step(backbone, prepared[data], range(4))

        return call

    variants = {
        "kept features": run(kept, keeping),
        "encoding": run(held, forgetting),
        "decoding and encoding": run(kept, forgetting),
    }
    report("A step of 4 records, 8 frames", interleaved(variants, rounds), "kept features")
    backbone.seeing.store = keeping


def lengths(backbone: ValleyBackbone, path: Path, rounds: int) -> None:
    """Batches of like length against batches of any."""
    draw = random.Random(0)
    answers = [min(600, max(5, round(draw.lognormvariate(4, 1)))) for _ in range(128)]
    data = Questions(FileSource(path), answers)
    examples = backbone.prepare(data)
    sizes = tuple(backbone.sizes(examples))

    def batches(known: tuple[int, ...]) -> list[Sequence[int]]:
        return [batch_indices(0, k, size=128, batch=8, lengths=known) for k in range(16)]

    def padded(chosen: list[Sequence[int]]) -> float:
        return sum(8 * max(sizes[i] for i in each) for each in chosen) / sum(sizes)

    alike, any_ = batches(sizes), batches(())
    variants = {
        "like length": lambda: [step(backbone, examples, each) for each in alike] and None,
        "any length": lambda: [step(backbone, examples, each) for each in any_] and None,
    }
    tokens = f"{padded(alike):.2f} and {padded(any_):.2f} of the tokens are computed"
    report(f"128 records in batches of 8: {tokens}", interleaved(variants, rounds), "like length")


def delta(rounds: int) -> None:
    """T-v3 over 256 patches at once against one after the other."""
    ours = DeltaTransformer(
        WIDTH, heads=8, intermediate_size=2048, dropout=0.0, norm_eps=1e-5
    ).train()
    layer = nn.TransformerEncoderLayer(WIDTH, 8, 2048, dropout=0.0, batch_first=True).train()
    frames = torch.randn(1, FRAMES, 256, WIDTH, requires_grad=True)
    positions = sinusoid(FRAMES, WIDTH, dtype=torch.float32, device=torch.device("cpu"))

    def loop() -> torch.Tensor:
        rows = [layer(frames[:, :, p] + positions)[:, -1] for p in range(256)]
        return torch.stack(rows, 1) + frames.mean(1)

    variants = {
        "one call": lambda: ours(frames).sum().backward(),
        "loop over patches": lambda: loop().sum().backward(),
    }
    report("T-v3, 8 frames of 256 patches", interleaved(variants, rounds), "one call")
    for name, forward, module in (("one call", lambda: ours(frames), ours), ("loop", loop, layer)):
        kept = kept_bytes(lambda forward=forward: [forward()], module)
        print(f"  {name:24} keeps {kept / 2**20:7.1f} MiB")


def memory(backbone: ValleyBackbone) -> None:
    """What the decoder keeps for its backward pass, by what a clip is to it."""
    print("Kept by the decoder for one record with 40 words")
    decoder = backbone.module.model.get_decoder()
    for frames in (8, 32):
        for name, rows in {
            "pooled, and frame tokens": PATCHES + frames + 4,
            "all patches": frames * PATCHES + 4,
        }.items():
            embeds = torch.randn(1, rows + 40, WIDTH)

            def forward(embeds: torch.Tensor = embeds) -> list[torch.Tensor]:
                return [decoder(inputs_embeds=embeds, use_cache=False).last_hidden_state]

            kept = kept_bytes(forward, backbone.module) / 2**20
            print(f"  {frames:3} frames, {name:26} {rows:6} rows {kept:8.1f} MiB")


def report(title: str, times: dict[str, list[float]], base: str) -> None:
    """One line for each variant."""
    print(title)
    for name, ratio in ratios(times, base).items():
        print(f"  {name:24} {statistics.median(times[name]):8.3f} s {ratio:7.2f}")


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        backbone = model(Path(folder) / "model")
        path = film(Path(folder) / "film.mp4")
        features(backbone, path, rounds)
        lengths(backbone, path, rounds)
        delta(rounds)
        memory(backbone)


if __name__ == "__main__":
    main()
