"""A Stable Diffusion pipeline from a folder, a single file or the hub; never from a pickle."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers.utils.logging as diffusers_logging
import transformers.utils.logging as transformers_logging
from diffusers import StableDiffusionPipeline
from safetensors import SafetensorError, safe_open

from graftwork.core.errors import GraftworkError, one_line

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
_UNUSED = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}
_PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_pipeline(
    path: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    config: str | None = None,
) -> StableDiffusionPipeline:
    """Load a pipeline in float32, without its safety checker.

    Raises:
        GraftworkError: nothing is there, a part is missing, the weights are pickles or of
            another model, or the hub cannot be reached.
    """
    place = Path(path).expanduser()
    _refuse_pickle(place)
    if place.is_dir():
        _check_folder(place)
        return _from_pretrained(str(place), place, variant=variant, local_files_only=True)
    if place.is_file():
        return _from_single_file(place, config)
    if place.suffix == ".safetensors" or not _HUB_ID.fullmatch(path):
        raise GraftworkError(
            f"{path}: no such file or folder; give a pipeline's folder, a .safetensors file or "
            "a hub id"
        )
    return _from_pretrained(path, path, variant=variant, revision=revision)


def _refuse_pickle(place: Path) -> None:
    if place.suffix in _PICKLES:
        raise GraftworkError(
            f"{place}: a {place.suffix} file can run code when it is opened; convert it to "
            ".safetensors or use the model's folder"
        )


def _check_folder(folder: Path) -> None:
    index = folder / "model_index.json"
    if not index.is_file():
        raise GraftworkError(
            f"{folder}: not a pipeline's folder (no model_index.json); give the folder that "
            "`save_pretrained` of a pipeline wrote"
        )
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))
        parts = {name for name, value in entries.items() if _is_part(name, value)}
    except (ValueError, AttributeError) as error:
        raise GraftworkError(f"{index}: not a pipeline's index; copy the folder again") from error
    for part in PARTS:
        if part not in parts or not (folder / part).is_dir():
            raise GraftworkError(f"{folder}: the pipeline has no {part}; copy the whole folder")
    others = sorted(parts - {*PARTS, *_UNUSED})
    if others:
        raise GraftworkError(
            f"{folder}: a {entries.get('_class_name')} with '{others[0]}' is not supported; "
            "use a Stable Diffusion 1 or 2 pipeline"
        )
    for file in sorted(folder.glob("*/*.safetensors")):
        _check_weights(file)


def _check_weights(file: Path) -> None:
    # The header tells the length, so a file that is cut short is found without reading it all.
    try:
        with safe_open(file, "pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise GraftworkError(
            f"{file}: its weights are cut short or altered; copy the model again"
        ) from error


def _is_part(name: str, value: Any) -> bool:
    return not name.startswith("_") and isinstance(value, list) and value[0] is not None


def _from_pretrained(source: str, place: str | Path, **options: Any) -> StableDiffusionPipeline:
    try:
        with quiet():
            pipeline = StableDiffusionPipeline.from_pretrained(
                source,
                use_safetensors=True,
                requires_safety_checker=False,
                **_UNUSED,
                **options,
            )
    except Exception as error:  # the libraries raise all kinds for files that do not fit
        local = options.get("local_files_only", False)
        raise GraftworkError(_reason(place, error, local=local)) from error
    return _checked(pipeline, place)


def _from_single_file(file: Path, config: str | None) -> StableDiffusionPipeline:
    if file.suffix != ".safetensors":
        raise GraftworkError(f"{file}: not a .safetensors file; give one, or a pipeline's folder")
    _check_weights(file)
    local = config is not None and Path(config).is_dir()
    try:
        with quiet():
            pipeline = StableDiffusionPipeline.from_single_file(
                str(file),
                config=config,
                local_files_only=local,
                requires_safety_checker=False,
                **_UNUSED,
            )
    except Exception as error:
        raise GraftworkError(
            f"{file}: cannot be read as a Stable Diffusion file ({_short(error)}); set `config` "
            "to a folder with the configuration and tokenizer of its pipeline"
        ) from error
    return _checked(pipeline, file)


def _checked(pipeline: StableDiffusionPipeline, place: str | Path) -> StableDiffusionPipeline:
    """The pipeline in float32, unless its UNet takes more than a noisy latent."""
    takes = pipeline.unet.config.in_channels
    latent = pipeline.vae.config.latent_channels
    if takes != latent:
        raise GraftworkError(
            f"{place}: its UNet takes {takes} channels and its VAE makes {latent}, as inpainting "
            "models do; use a plain text-to-image model"
        )
    # Whatever the dtype of the files; by argument it has had several names.
    for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
        part.float()
    return pipeline


def _reason(place: str | Path, error: BaseException, *, local: bool) -> str:
    if not local:
        return (
            f"{place}: no folder here, and the hub does not give it ({_short(error)}); check the "
            "name and the network, or download it and give the folder"
        )
    if "no file named" in str(error).lower():
        return (
            f"{place}: a part has no .safetensors weights ({_short(error)}); save it again with "
            "safe_serialization=True, or set `variant`"
        )
    return f"{place}: cannot be loaded ({_short(error)}); copy the model again"


def _short(error: BaseException) -> str:
    text = one_line(error)
    return text if len(text) <= 160 else f"{text[:157]}..."


@contextmanager
def quiet() -> Iterator[None]:
    """The libraries' progress bars off, and as they were afterwards."""
    bars = [log for log in (diffusers_logging, transformers_logging) if _shows_bars(log)]
    for log in bars:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in bars:
            log.enable_progress_bar()


def _shows_bars(log: Any) -> bool:
    return bool(log.is_progress_bar_enabled())
