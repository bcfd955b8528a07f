"""A video LLM of transformers from a folder, with its processor, or what is wrong with them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import logging

from graftwork.backbones.videollm.loading import loading
from graftwork.core.errors import GraftworkError

MODEL_TYPES = (
    "internvl",
    "llava_next_video",
    "llava_onevision",
    "qwen2_5_vl",
    "qwen3_vl",
    "smolvlm",
    "video_llava",
)
"""The `model_type` of the configurations that are tested."""

_PROCESSOR_FILES = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
"""The last two are those of older versions of transformers."""


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder, of the class that its `model_type` names.

    Raises:
        GraftworkError: another kind of model, or weights that are damaged or another model's.
    """
    _refuse_others(folder)
    try:
        with loading(folder), _quiet():
            model, found = AutoModelForImageTextToText.from_pretrained(
                folder, dtype="auto", output_loading_info=True, ignore_mismatched_sizes=True
            )
    except GraftworkError:
        raise
    except Exception as error:  # a configuration checks itself in its own ways
        raise GraftworkError(
            f"{folder}/config.json: {_line(error)}; put the config.json there that was saved with "
            "the weights"
        ) from error
    assert isinstance(model, PreTrainedModel)
    if wrong := sorted([*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])]):
        raise GraftworkError(
            f"{folder}: config.json describes {wrong[0]}, which the weights lack or have in "
            "another size; put the config.json there that was saved with them"
        )
    return model


def load_processor(folder: Path, model: PreTrainedModel) -> ProcessorMixin:
    """The processor of a folder, whole, and of the model that lies there.

    Raises:
        GraftworkError: it is missing or incomplete, or its tokenizer is another model's.
    """
    if not any((folder / name).is_file() for name in _PROCESSOR_FILES):
        raise GraftworkError(
            f"{folder}: has no processor_config.json; save the model's processor there too, with "
            "`AutoProcessor.from_pretrained(...).save_pretrained(...)`"
        )
    try:
        with _quiet():
            processor = AutoProcessor.from_pretrained(folder)
    except ImportError as error:
        raise GraftworkError(
            f"{folder}: its processor needs a package that is not installed "
            f"({_line(error)}); pip install 'graftwork-videollm[transformers-video]'"
        ) from error
    except Exception as error:  # each family's constructor stumbles in its own way
        raise GraftworkError(
            f"{folder}: its processor cannot be loaded ({_line(error)}); save the model's own "
            "there, with `AutoProcessor.from_pretrained(...).save_pretrained(...)`"
        ) from error
    wanted = PROCESSOR_MAPPING[type(model.config)]
    if not isinstance(processor, wanted):
        raise GraftworkError(
            f"{folder}: holds a {type(processor).__name__} where {model.config.model_type} is read "
            f"by a {wanted.__name__}; save the model's own there"
        )
    assert isinstance(processor, ProcessorMixin)
    _refuse_tokenizer(folder, processor.tokenizer, model)
    return processor


def modality(model: PreTrainedModel) -> str:
    """Whether the model takes the frames of a clip as a "video", or as one "image" each."""
    return "video" if hasattr(model.base_model, "get_video_features") else "image"


def placeholder(processor: ProcessorMixin, model: PreTrainedModel) -> tuple[str, int]:
    """The token that is written once for each row of a clip's features.

    Raises:
        GraftworkError: the tokenizer has another id for it than the model.
    """
    kind = modality(model)
    token = str(getattr(processor, f"{kind}_token"))
    wanted = getattr(model.config, f"{kind}_token_id")
    found = processor.tokenizer.convert_tokens_to_ids(token)
    if found != wanted or found is None:
        unknown = found in (None, processor.tokenizer.unk_token_id)
        has = "lacks" if unknown else f"has id {found} for"
        raise GraftworkError(
            f"tokenizer: {has} {token}, where the model has {kind}_token_id = {wanted}; use the "
            "tokenizer that belongs to the model"
        )
    return token, wanted


def _refuse_others(folder: Path) -> None:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = found.get("model_type")
    except (ValueError, AttributeError, OSError) as error:
        raise GraftworkError(
            f"{folder}/config.json: no configuration of a model ({_line(error)}); save the model "
            "there again"
        ) from error
    if kind not in MODEL_TYPES:
        raise GraftworkError(
            f"{folder}/config.json: model_type is {kind!r}; `transformers-video` takes "
            f"{', '.join(MODEL_TYPES)}"
        )


def _refuse_tokenizer(
    folder: Path, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> None:
    if not tokenizer.is_fast:
        raise GraftworkError(
            f"{folder}: {type(tokenizer).__name__} tells no offsets; put a tokenizer.json there"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise GraftworkError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens and the model {rows}; use the "
            "tokenizer that belongs to the model"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """What transformers reports of its loading in many lines is told here in one."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _line(error: Exception) -> str:
    """The first sentence of an error."""
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")[:200]
