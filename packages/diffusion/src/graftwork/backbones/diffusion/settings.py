"""Settings of the two backbones."""

from typing import Annotated

from graftwork.core.config import Ge, Lt, config


@config
class TinySDConfig:
    """What both backbones can be told."""

    resolution: Annotated[int, Ge(16)] | None = None
    """Side of the square images in pixels; absent for the size the UNet was trained at."""

    caption_dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Chance that a training caption is replaced by the empty one."""

    gradient_checkpointing: bool = False
    """Recompute the UNet's activations in the backward pass: less memory, more time."""

    vae_float32: bool = True
    """Keep the VAE in float32 whatever the precision; its halves overflow or band."""

    cache: str | None = None
    """Folder in which encoded data sets are kept between runs; absent for none."""


@config
class StableDiffusionConfig(TinySDConfig):
    """Where the pipeline is, and what both backbones can be told."""

    path: str
    """A pipeline's folder, a single .safetensors file, or a hub id such as "owner/name"."""

    revision: str | None = None
    """Branch, tag or commit on the hub."""

    variant: str | None = None
    """Which weight files to take where there are several, such as "fp16"."""

    config: str | None = None
    """For a single file: folder or hub id of a pipeline whose configuration and tokenizer fit."""
