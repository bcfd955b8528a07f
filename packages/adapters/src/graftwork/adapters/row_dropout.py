"""Dropout of the change's rows, for methods that have no product with the input to drop from."""

from typing import Annotated

from graftwork.core.config import Ge, Lt, Search, config


@config
class RowDropoutConfig:
    """The setting `dropout` of a method that forms its change of the weight."""

    dropout: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.3)] = 0.0
    """Share of the rows of the change W' - W, one for each output of the layer, that are zero in a
    training step: `rank_dropout` of PEFT and LyCORIS. As there, the rows that stay are not
    enlarged. It has no effect inside torch's attention, which shows adapters its weight alone."""
