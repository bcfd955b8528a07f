"""Parameter counts and settings of the published variants."""

from dataclasses import replace

import pytest
import torch

from graftwork.backbones.rvideformer.blocks import Block
from graftwork.backbones.rvideformer.config import VARIANTS, RViDeformerConfig
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.core.errors import GraftworkError

# The specification of the method: counted on the published code.
COUNTS = {
    "T": (452_860, 432_460),
    "S": (667_348, 633_778),
    "M": (1_184_926, 1_124_326),
    "L": (7_505_716, 6_770_476),
}
TABLES = {"T": 267_300, "S": 353_700, "M": 615_600, "L": 615_600}
# Blocks, temporal ones, shifted ones.
CENSUS = {"T": (9, 0, 0), "S": (17, 7, 0), "M": (36, 21, 11), "L": (36, 21, 11)}


def build(name, form):
    with torch.device("meta"):
        return RViDeformer(replace(VARIANTS[name], form=form))


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_are_as_many_as_published(name):
    built = [build(name, form) for form in ("training", "merged")]
    assert tuple(sum(p.numel() for p in model.parameters()) for model in built) == COUNTS[name]


@pytest.mark.parametrize("name", VARIANTS)
def test_blocks_and_tables_are_as_many_as_published(name):
    model = build(name, "training")
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    census = (
        len(blocks),
        sum(block.temporal for block in blocks),
        sum(block.cut.keywords["shifted"] for block in blocks),
    )
    assert census == CENSUS[name]
    tables = [p for key, p in model.named_parameters() if key.endswith("_bias")]
    assert sum(p.numel() for p in tables) == TABLES[name]


def test_the_ramp_of_dropped_paths_restarts_for_the_spatial_group():
    config = RViDeformerConfig(depths=(4,) * 7, refinement_depths=(2,), drop_path=0.29)
    with torch.device("meta"):
        model = RViDeformer(config)
    second = model.stages[1]
    assert [round(b.drop, 6) for b in second.temporal.blocks] == [0.04, 0.05, 0.06]
    assert [round(b.drop, 6) for b in second.spatial.blocks] == [0.04]
    assert round(model.refinement[0].blocks[1].drop, 6) == 0.29


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 20}, "width: 20 is no multiple of 12"),
        ({"heads": 5}, "heads: 5 cannot be halved"),
        ({"depths": (1, 1)}, "depths: 2 stages are given"),
        ({"refinement_depths": (0,)}, "refinement_depths: a stage has no block"),
        ({"window": (6, 7, 8)}, "window"),
        ({"mutual_ratio": 1.5}, "mutual_ratio: 1.5"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes, told):
    with pytest.raises(GraftworkError, match=told.replace("(", r"\(")):
        RViDeformerConfig(**changes)


@pytest.mark.parametrize("field", ["padding", "form"])
def test_modes_that_there_are_not_are_refused(field):
    # Where types are checked at run time, that check comes first.
    with pytest.raises(Exception, match=field):
        RViDeformerConfig(**{field: "zeros"})
