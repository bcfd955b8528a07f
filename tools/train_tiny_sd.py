"""Train `tiny-sd` from nothing, on two CPU cores, in about an hour.

Everything needed is inside the scikit-image and scikit-learn wheels.  The stages are `vae`,
`unet` (UNet and text encoder together), `decoder` (of the autoencoder, once more) and
`classifier`; each can be interrupted and goes on from its last save in the work folder when the
same command is given again.

    python tools/train_tiny_sd.py                # train, then ship into the package
    python tools/train_tiny_sd.py --evaluate     # tables of the model card, and the grid
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from graftwork.backbones.diffusion.classifier import TinyClassifier
from tiny_sd import autoencoder, denoiser, evaluation, naming, shipping
from tiny_sd.work import Work, stopwatch

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "packages/diffusion/src/graftwork/backbones/diffusion/tiny_sd"
GRID = ROOT / "docs/pictures/tiny-sd-grid.png"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build/tiny_sd", help="work folder")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="pipeline folder to write")
    parser.add_argument("--grid", type=Path, default=GRID, help="picture that --evaluate writes")
    parser.add_argument("--vae-steps", type=int, default=3000)
    parser.add_argument("--classifier-steps", type=int, default=700)
    parser.add_argument("--unet-steps", type=int, default=9000)
    parser.add_argument("--decoder-steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument(
        "--evaluate", action="store_true", help="train nothing: evaluate the folder --out"
    )
    return parser.parse_args()


def train(arguments: argparse.Namespace, work: Work) -> None:
    """Run the stages that are not done yet, in order, and ship the result."""
    with stopwatch("vae"):
        vae = autoencoder.train(work, arguments.vae_steps, arguments.seed)
    with stopwatch("unet"):
        model = denoiser.train(work, vae, arguments.unet_steps, arguments.seed)
    with stopwatch("decoder"):
        vae = autoencoder.train_decoder(work, arguments.decoder_steps, arguments.seed)
    with stopwatch("classifier"):
        classifier = naming.train(work, vae, arguments.classifier_steps, arguments.seed)
    ship(vae, model, classifier, arguments.out)


def ship(
    vae: AutoencoderKL, model: denoiser.Denoiser, classifier: TinyClassifier, out: Path
) -> None:
    shipping.ship(vae, model, classifier, out)
    print(f"shipped {out.name}: {shipping.size_in_bytes(out) / 1e6:.2f} MB")


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    if arguments.evaluate:
        evaluation.evaluate(arguments.out, arguments.grid)
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    with stopwatch("all"):
        train(arguments, Work(arguments.work))


if __name__ == "__main__":
    main()
