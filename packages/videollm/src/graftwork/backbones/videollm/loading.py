"""A model from a folder: what may be wrong with it, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import logging

from graftwork.core.errors import GraftworkError


def folder_of(path: str, kind: str) -> Path:
    """The folder that a setting names.

    Raises:
        GraftworkError: there is none, or it holds no model.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise GraftworkError(
            f"backbone.path: {path}: no such folder; name one with a {kind} that "
            "`save_pretrained` wrote"
        )
    if not (folder / "config.json").is_file():
        raise GraftworkError(
            f"backbone.path: {path}: has no config.json; name the folder of a whole model"
        )
    return folder


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Tell what transformers finds wrong as an error that names the folder; show no bars."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except GraftworkError as error:
        raise GraftworkError(f"{folder}: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GraftworkError(
            f"{folder}: cannot be loaded ({reason}); save the model and its tokenizer there again"
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
