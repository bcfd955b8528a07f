"""A model of timm by name, from disk or of the hub: what may be wrong with it, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from graftwork.backbones.vision.settings import TimmSettings
from graftwork.core.errors import GraftworkError, one_line
from graftwork.core.nearest import did_you_mean

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def load(settings: TimmSettings) -> nn.Module:
    """The model that the settings name, frozen, in evaluation mode, with its own classifier.

    Raises:
        GraftworkError: there is no such model or file, its weights do not fit, or they cannot be
            downloaded.
    """
    place = settings.path or settings.model
    with _told(str(place)):
        model = _model(settings)
    return model.requires_grad_(False).eval()


def _model(settings: TimmSettings) -> nn.Module:
    arguments: dict[str, Any] = dict(settings.arguments)
    if settings.path is None:
        assert settings.model is not None
        _require_known(settings.model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            return timm.create_model(settings.model, pretrained=settings.pretrained, **arguments)
    path = Path(settings.path).expanduser()
    if path.is_dir():
        _require_safetensors(path)
        return timm.create_model(f"local-dir:{path}", pretrained=True, **arguments)
    return _from_file(path, settings, arguments)


def _from_file(path: Path, settings: TimmSettings, arguments: dict[str, Any]) -> nn.Module:
    if not path.is_file():
        raise GraftworkError("no such folder or file; name a model that timm's save_for_hf wrote")
    if path.suffix != ".safetensors":
        raise GraftworkError("is no .safetensors file, and others are not read; convert it")
    if settings.model is None:
        raise GraftworkError("does not say what model it is of; set backbone.model beside path")
    _require_known(settings.model)
    weights = load_file(path)
    model = timm.create_model(settings.model, pretrained=False, **arguments)
    model.load_state_dict(weights)
    return model


def _require_known(model: str) -> None:
    if ":" in model:  # of the hub
        return
    known = timm.list_models()
    if model.partition(".")[0] not in known:
        raise GraftworkError(f"backbone.model: timm has no such model{did_you_mean(model, known)}")


def _require_safetensors(folder: Path) -> None:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise GraftworkError(
                f"has no {name}; save it with timm's save_for_hf(..., safe_serialization=True)"
            )


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Tell what timm finds wrong as an error that names the model."""
    try:
        yield
    except GraftworkError as error:
        raise GraftworkError(f"{place}: {error}") from error
    except (RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise GraftworkError(
            f"{place}: cannot be built ({one_line(error)[:300]}); check backbone.arguments and the "
            "weights"
        ) from error
    except (OSError, AssertionError) as error:
        raise GraftworkError(
            f"{place}: its weights cannot be had ({one_line(error)[:200]}); give a folder with "
            "them as backbone.path, or set pretrained = false"
        ) from error
