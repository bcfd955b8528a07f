"""Settings of the backbones of this distribution."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from graftwork.core.config import Ge, config


@config
class TimmSettings:
    """Settings of a model of timm."""

    model: str | None = None
    """Its name in timm, such as "resnet50.a1_in1k", or an id of the hub, "hf-hub:timm/...". With
    `path` only for a file that does not say it."""

    path: str | None = None
    """A folder that timm's `save_for_hf` wrote, with config.json and model.safetensors, or a
    .safetensors file with the weights of `model`."""

    pretrained: bool = True
    """Whether a model that is named by `model` alone gets its published weights, which timm
    downloads once; otherwise they are drawn from `seed`."""

    seed: int = 0
    """Of weights that are drawn."""

    arguments: Mapping[str, bool | int | float | str | tuple[int, ...]] = field(
        default_factory=dict
    )
    """What timm's `create_model` is given besides, such as `img_size`, `depth` or `global_pool`."""

    classifier: Literal["new", "own"] = "new"
    """"new": a blank one with the classes of the data, for a head to take the place of. "own": the
    model's, frozen, for data with the very classes that it was trained on, in their order."""

    image_size: Annotated[int, Ge(1)] | None = None
    """Side in pixels of what the model is shown; absent for its own."""

    cache: str | None = None
    """A folder for the features of frozen models, shared by runs and searches: a data set goes
    through a model once for all of them. Absent for memory alone."""

    augment: str | None = None
    """What images go through in training: "weak" for random crops and flips, or besides what a
    text in timm's notation says, such as "rand-m5-n3"; absent for nothing. The frozen features
    that losses see are those of the image as it is."""

    batch: Annotated[int, Ge(1)] = 64
    """Images that go through the model at once where nothing is trained."""

    workers: Annotated[int, Ge(0)] = 2
    """Threads that read images; 0 for none beside this one."""

    memory: Annotated[int, Ge(0)] = 1024
    """How many MiB of images that are ready for the model, and of features that lie in `cache`,
    stay in memory."""

    gradient_checkpointing: bool = False
    """Whether blocks are computed again for the backward pass, to save memory."""

    def __post_init__(self) -> None:
        if self.model is None and self.path is None:
            raise ValueError("model: is missing; name a model of timm, or give `path`")
