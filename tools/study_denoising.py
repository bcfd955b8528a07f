"""Denoising synthetic raw video: classical methods and `tiny-rvideformer`, by ISO.

    python tools/study_denoising.py [--model FILE] [--out docs/studies/denoising.md]

Needs `opencv-python-headless` for the aligned mean (the dependency group `studies`). BM3D, whose
licence is non-commercial, is added where the package `bm3d` is installed.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from string import Template

import torch
from PIL import Image
from torch import Tensor

from denoising_study.classical import METHODS, SPAN
from denoising_study.judged import Given, clip, planes
from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.data.raw.photograph_set import RawPhotographs, RawPhotographsConfig
from graftwork.metrics.raw_quality import QualityConfig, RawPSNR, RawSSIM
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.evaluation import Restored
from graftwork.raw.isp import render
from graftwork.raw.noise_model import Noise
from graftwork.raw.noise_of import noise_of
from graftwork.raw.pair import ClipPair
from graftwork.raw.stabilising import destabilise, stabilise

PAGE = Path(__file__).parent / "denoising_study" / "page.md"
PICTURE = Path("docs/pictures/denoising.png")
OURS = "tiny-rvideformer"
SHOWN = 64
"""Side in packed pixels of what the picture shows."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="weights to judge in place of the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("docs/studies/denoising.md"))
    arguments = parser.parse_args()
    data = RawPhotographs(RawPhotographsConfig(split="test"))
    pairs = [data.pair(index) for index in range(len(data))]
    found = {"noisy": [clip(pair, planes(pair)) for pair in pairs]}
    seconds = {"noisy": 0.0}
    for name, method in methods(arguments.model).items():
        started = time.process_time()
        found[name] = [clip(pair, method(pair)) for pair in pairs]
        frames = sum(len(pair.noisy) for pair in pairs)
        seconds[name] = (time.process_time() - started) / frames
        print(f"{name}: {seconds[name]:.2f} CPU s a frame", flush=True)
    tables = {
        "centre": table({name: [middle(c) for c in clips] for name, clips in found.items()}, None),
        "all": table(found, seconds),
    }
    arguments.out.write_text(Template(PAGE.read_text()).substitute(tables))
    picture({name: found[name] for name in ("noisy", "NLM", OURS)}).save(PICTURE)
    print(f"wrote {arguments.out} and {PICTURE}")
    return 0


def methods(model: Path | None) -> dict[str, Callable[[ClipPair], Tensor]]:
    """Everything that is compared, by name."""

    def classical(method: Callable[[Tensor, Noise], Tensor]) -> Callable[[ClipPair], Tensor]:
        return lambda pair: method(planes(pair), noise_of(pair.noisy))

    backbone = denoiser(model)

    def ours(pair: ClipPair) -> Tensor:
        return torch.stack(list(backbone.denoise(pair.noisy, noise_of(pair.noisy))))

    given = {name: classical(method) for name, method in METHODS.items()}
    if importlib.util.find_spec("bm3d"):
        given["BM3D"] = classical(bm3d)
    return {**given, OURS: ours}


def denoiser(model: Path | None) -> RawDenoiser:
    if model is None:
        record, settings = registry.find("backbones", OURS), {}
    else:
        record = registry.find("backbones", "rvideformer")
        settings = {"path": str(model), "input": "stabilised"}
    made: RawDenoiser = record.load()(parse(record.settings_class(), settings, "backbone"))
    return made


def bm3d(clip: Tensor, noise: Noise) -> Tensor:
    """Dabov et al. 2007, frame by frame; the package is for non-commercial use alone."""
    from bm3d import bm3d as filtered

    stable = stabilise(clip * SPAN, noise)
    restored = [torch.from_numpy(filtered(x.numpy(), 1.0)).float() for x in stable.flatten(0, 1)]
    restored = torch.stack(restored).view_as(stable)
    return destabilise(restored, noise, inverse="unbiased") / SPAN


def middle(given: Restored) -> Restored:
    """The frame in the middle alone."""
    index = len(given.noisy) // 2
    assert given.truth is not None
    return Restored(
        name=given.name,
        iso=given.iso,
        sensor=given.sensor,
        noisy=given.noisy[index : index + 1],
        truth=given.truth[index : index + 1],
        restored=given.restored[index : index + 1],
    )


def table(found: dict[str, list[Restored]], seconds: dict[str, float] | None) -> str:
    """PSNR / SSIM of every method at every ISO."""
    isos = sorted({one.iso for one in found["noisy"] if one.iso})
    heads = ["method", *map(str, isos), *(["CPU s a frame"] if seconds else [])]
    lines = [" | ".join(heads), " | ".join(["---", *["--:"] * (len(heads) - 1)])]
    for name, clips in found.items():
        psnr = RawPSNR(QualityConfig())(Given(clips))
        ssim = RawSSIM(QualityConfig())(Given(clips))
        cells = [f"{psnr[f'psnr_iso{iso}']:.2f} / {ssim[f'ssim_iso{iso}']:.3f}" for iso in isos]
        lines.append(" | ".join([name, *cells, *([f"{seconds[name]:.2f}"] if seconds else [])]))
    return "\n".join(f"| {line} |" for line in lines)


def picture(found: dict[str, list[Restored]]) -> Image.Image:
    """Side by side at the highest ISO, and below each a row of pixels through time."""
    highest = max(one.iso or 0 for one in found["noisy"])
    rows = []
    for index, one in enumerate(found["noisy"]):
        if one.iso == highest:
            assert one.truth is not None
            cells = [clips[index].restored for clips in found.values()]
            rows.append(torch.cat([cell(c, one) for c in [*cells, one.truth]], dim=-1))
    sheet = (torch.cat(rows, dim=-2) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(sheet).resize(
        (sheet.shape[1] * 2, sheet.shape[0] * 2), Image.Resampling.NEAREST
    )


def cell(frames: Tensor, given: Restored) -> Tensor:
    """The middle of the middle frame, and below it the row in its middle in every frame."""
    top, left = ((length - SHOWN) // 2 for length in frames.shape[-2:])
    part = frames[..., top : top + SHOWN, left : left + SHOWN]
    shown = render(part, given.sensor.pattern, exposure=2.0)
    middle_row = shown[:, :, shown.shape[-2] // 2, :]
    strip = middle_row.permute(1, 0, 2).repeat_interleave(4, dim=1)
    picture = torch.cat([shown[len(shown) // 2], torch.ones(3, 2, 2 * SHOWN), strip], dim=-2)
    return torch.nn.functional.pad(picture, (0, 4, 0, 6), value=1.0)


if __name__ == "__main__":
    sys.exit(main())
