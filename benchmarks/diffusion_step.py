"""What a training step and eight samples of tiny-sd cost on one core.

python benchmarks/diffusion_step.py

CAT costs more than the plain step: a second half of the batch with gradients, and a frozen pass.
Medians of process CPU time, the variants taken in turn, so that other loads weigh on all alike.
"""

import statistics
import time
from collections.abc import Callable

import torch
from PIL import Image

from graftwork.backbones.diffusion.settings import TinySDConfig
from graftwork.backbones.diffusion.tiny import TinySD
from graftwork.nn import Graft, graft
from graftwork.nn.text_to_image import CaptionedImages

BATCH, ROUNDS, SAMPLES = 4, 7, 8
PLAIN, CAT = frozenset({"prediction"}), frozenset({"prediction", "free"})


class Noise(CaptionedImages):
    """Eight pictures of noise."""

    trigger = "sks"

    def __len__(self) -> int:
        return 8

    def image(self, index: int) -> Image.Image:
        noise = torch.randint(256, (64 * 64 * 3,), generator=torch.Generator().manual_seed(index))
        return Image.frombytes("RGB", (64, 64), bytes(noise.tolist()))

    def caption(self, index: int) -> str:
        return "a photo of sks cat"

    def caption_free(self, index: int) -> str:
        return "a photo of cat"

    def check(self) -> None:
        pass

    def hash(self) -> str:
        return "noise"


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def train_step(backbone: TinySD, examples: object, handle: Graft, needs: frozenset[str]) -> None:
    step = backbone.step(
        examples, range(BATCH), needs=needs, generator=torch.Generator().manual_seed(0)
    )
    loss = (step.prediction - step.target).square().mean()
    if "free" in needs:
        loss = loss + (step.adapted_free - step.frozen_free).square().mean()
    loss.backward()
    for parameter in handle.parameters():
        parameter.grad = None


def main() -> None:
    torch.set_num_threads(1)
    loading = cpu_seconds(lambda: TinySD(TinySDConfig()))
    plain, checkpointed = (TinySD(TinySDConfig(gradient_checkpointing=on)) for on in (False, True))
    handles = {
        backbone: graft(backbone.module, "lora", {"rank": 8}, sites=backbone.default_sites())
        for backbone in (plain, checkpointed)
    }
    examples = plain.prepare(Noise())
    prompts, seeds = ["a photo of brick"] * SAMPLES, range(SAMPLES)

    def step(backbone: TinySD, needs: frozenset[str]) -> Callable[[], object]:
        return lambda: train_step(backbone, examples, handles[backbone], needs)

    work = {
        f"step, batch {BATCH}": step(plain, PLAIN),
        f"step with CAT, batch {BATCH}": step(plain, CAT),
        f"step, batch {BATCH}, checkpointed": step(checkpointed, PLAIN),
        f"{SAMPLES} samples, 20 steps": lambda: plain.sample(prompts, seeds, guidance=3.0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, run in work.items():
            seconds[name].append(cpu_seconds(run))
    print(f"| work | CPU ms |\n|---|--:|\n| loading | {1000 * loading:.0f} |")
    for name, values in seconds.items():
        print(f"| {name} | {1000 * statistics.median(values):.0f} |")


if __name__ == "__main__":
    main()
