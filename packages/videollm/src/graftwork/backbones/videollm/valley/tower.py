"""The frozen vision tower, without the blocks whose output nobody reads."""

from copy import deepcopy

from jaxtyping import Float
from torch import Tensor
from transformers import AutoModel, PreTrainedModel

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.core.errors import GraftworkError


def build_tower(config: ValleyConfig) -> PreTrainedModel:
    """The tower with fresh weights: all of it, or as far as `vision_feature_layer`."""
    vision = deepcopy(config.vision_config)
    if config.truncate_vision_tower:
        vision.num_hidden_layers = config.vision_blocks  # type: ignore[union-attr]
    # What is wanted is the block's output. Some towers would put their final norm in its place.
    vision.tie_last_hidden_states = False  # type: ignore[union-attr]
    return AutoModel.from_config(vision)


def hidden_state(
    tower: PreTrainedModel, frames: Float[Tensor, "frames 3 height width"], config: ValleyConfig
) -> Float[Tensor, "frames tokens vision_width"]:
    """The tower's output at `vision_feature_layer`, its first tokens included."""
    layer = -1 if config.truncate_vision_tower else config.vision_feature_layer
    # Only the one that is asked for is kept, where a tower can do so.
    return tower(frames, output_hidden_states=[layer]).hidden_states[layer]


def fill_tower(tower: PreTrainedModel, whole: PreTrainedModel) -> None:
    """Copy the weights of a whole tower, as far as this one has blocks for them.

    Raises:
        GraftworkError: it is another kind of tower, or one of other sizes.
    """
    given, own = whole.state_dict(), tower.state_dict()
    for name, tensor in own.items():
        if name not in given or given[name].shape != tensor.shape:
            raise GraftworkError(
                f"vision tower: '{name}' of a {type(whole).__name__} is missing or of another "
                f"shape than {list(tensor.shape)}; give a {type(tower).__name__} of the model's "
                "`vision_config`"
            )
    tower.load_state_dict({name: given[name] for name in own})


def unused_keys(config: ValleyConfig) -> set[str]:
    """Patterns of weights that a checkpoint of the whole tower has and a truncated one lacks."""
    if not config.truncate_vision_tower:
        return set()
    total = config.vision_config.num_hidden_layers  # type: ignore[union-attr]
    numbers = "|".join(str(number) for number in range(config.vision_blocks, total))
    return {rf"vision_tower\.(.+\.)?layers?\.({numbers})\."} if numbers else set()
