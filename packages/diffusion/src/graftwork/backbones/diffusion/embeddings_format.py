"""Learned words to and from the embedding files that pipelines and web interfaces exchange.

One file holds one word: {word: vectors} as diffusers has it, or {"emb_params": vectors} in a file
that is named after the word, as A1111 has it. A word and its negative are two files.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.nn import Graft, TokenAdapter, graft, tensorfile

Vectors = Float[Tensor, "_ dims"]

_NEGATIVE = "-neg"
_A1111 = "emb_params"
_TWO_ENCODERS = {"clip_l", "clip_g"}
_PICKLES = (".pt", ".bin", ".ckpt")
# One tensor alone may also be a change of one layer.
_LAYER = re.compile(r"(lora|lycoris|unet|text_encoder|base_model|transformer)[._].*")


class EmbeddingsFormat:
    """What `StableDiffusionPipeline.load_textual_inversion` reads, a file for each word.

    A pair of words is `sks.safetensors` and `sks-neg.safetensors`.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is such a file, or a folder with nothing but such files.

        Pickled files are taken too, in order to say what is wrong with them.
        """
        if path.is_dir():
            files = list(path.glob("*.safetensors"))
            return bool(files) and all(map(_is_embedding, files))
        return _is_embedding(path) or path.suffix in _PICKLES

    def write(self, handle: Graft, path: Path) -> Path:
        """Write a graft's words to a folder, or to a .safetensors file; returns the first file.

        Beside a file for the word lies that of its negative, with "-neg" in its name.

        Raises:
            GraftworkError: the graft has no words, or a weight other than 1.
        """
        words = dict(_words(handle))
        single = path.suffix == ".safetensors"
        files: list[Path] = []
        for word, vectors in words.items():
            name = _file_name(word)
            if single:
                name = path.stem + (_NEGATIVE if files else "")
            files.append((path.parent if single else path) / f"{name}.safetensors")
            tensorfile.write(files[-1], {word: vectors}, {})
        _warn_of_taken(handle.model, words)
        return files[0]

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft one word, or from a folder a word and its negative, onto `backbone.module`.

        Raises:
            GraftworkError: a pickle, a damaged file, one for another model, or several words that
                are no pair.
        """
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        found = dict(map(_read, files))
        method, settings, tensors = _as_method(found, path)
        try:
            handle = graft(
                model,
                method,
                settings,
                sites="*token_embedding",
                name=name,
                weight=1.0 if weight is None else weight,
            )
        except GraftworkError as error:
            raise GraftworkError(f"{path}: {error}") from error
        (site,) = handle.sites
        try:
            handle.load_state_dict({f"{site}.{key}": value for key, value in tensors.items()})
        except GraftworkError as error:
            handle.detach()
            raise GraftworkError(f"{path}: made for another text encoder ({error})") from error
        return handle


def _is_embedding(path: Path) -> bool:
    keys = set(tensorfile.keys(path))
    return keys == _TWO_ENCODERS or (len(keys) == 1 and not _LAYER.fullmatch(min(keys)))


def _words(handle: Graft) -> Iterator[tuple[str, Vectors]]:
    """The words of a graft with their vectors, in order."""
    for adapter in handle.sites.values():
        words = adapter.placeholders() if isinstance(adapter, TokenAdapter) else ()
        if not isinstance(adapter, TokenAdapter) or not words:
            raise GraftworkError(
                f"format 'embeddings': holds learned words, and {handle.method} has none; choose "
                "another format"
            )
        if handle.weight != 1.0:
            raise GraftworkError(
                f"format 'embeddings': holds words at weight 1, not {handle.weight:g}; set the "
                "graft's weight to 1"
            )
        counts = [word.vectors for word in words]
        parts = adapter.vectors().detach().split(counts)
        yield from zip((word.word for word in words), parts, strict=True)


def _file_name(word: str) -> str:
    """A word as a file name: what no file system takes is left out."""
    return re.sub(r"[^\w.-]", "", word) or "embedding"


def _warn_of_taken(model: nn.Module, words: Mapping[str, Vectors]) -> None:
    tokenizer = getattr(model, "tokenizer", None)
    known = tokenizer.get_vocab() if tokenizer is not None else {}
    for word in words:
        if word in known:
            warnings.warn(
                f"'{word}' is a token already, which diffusers refuses; load it there with "
                f"token='<{word}>'",
                GraftworkWarning,
                stacklevel=3,
            )


def _read(file: Path) -> tuple[str, Vectors]:
    if file.suffix in _PICKLES:
        raise GraftworkError(
            f"{file}: is a pickle, which may run any program when it is opened; have it converted "
            "to .safetensors"
        )
    tensors, _ = tensorfile.read(file)
    if tensors.keys() == _TWO_ENCODERS:
        raise GraftworkError(
            f"{file}: has vectors for two text encoders (Stable Diffusion XL); use one that was "
            "made for Stable Diffusion 1 or 2"
        )
    ((word, vectors),) = tensors.items()
    if vectors.dim() not in (1, 2) or not vectors.is_floating_point():
        raise GraftworkError(f"{file}: '{word}' is no table of vectors; give an embedding file")
    word = file.stem if word == _A1111 else word
    return word, torch.atleast_2d(vectors).float()


def _as_method(
    found: Mapping[str, Vectors], path: Path
) -> tuple[str, dict[str, str | int], dict[str, Vectors]]:
    """The method that has these words, its settings and its tensors."""
    words = sorted(found, key=len)
    if len(words) == 1:
        (vectors,) = found.values()
        settings: dict[str, str | int] = {"placeholder": words[0], "vectors": len(vectors)}
        return "textual-inversion", settings, {"learned": vectors}
    if len(words) == 2 and words[1] == words[0] + _NEGATIVE:
        positive, negative = (found[word] for word in words)
        counts = {"vectors": len(positive), "negative_vectors": len(negative)}
        return (
            "dreamartist",
            {"placeholder": words[0], **counts},
            {"positive": positive, "negative": negative},
        )
    raise GraftworkError(
        f"{path}: holds several words ({', '.join(words)}) that are no pair; name one of the files"
    )
