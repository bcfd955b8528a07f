"""The whole kit on one method of each sort."""

from graftwork.testing import AdapterSuite

RANK = "PEFT takes any rank, and for VeRA one above the layer's size is usual"
DROPOUT = "dropout is PEFT's own, which linear layers alone get"
SHARED = "what sites share lies with the first of them"
NO_DROPOUT = {
    f"test_evaluation_is_deterministic[{toy}]": DROPOUT
    for toy in ("conv1d", "conv2d", "conv2d-grouped", "conv2d-modes", "conv3d", "embedding")
} | {
    "test_evaluation_is_deterministic[attention]": DROPOUT,
    "test_dropout_acts_in_training[conv2d]": DROPOUT,
}


class TestLoRA(AdapterSuite):
    name = "peft/lora"
    settings = {"rank": 2}
    expected_failures = {"test_rank_above_size_is_refused": RANK, **NO_DROPOUT}


class TestVeRA(AdapterSuite):
    name = "peft/vera"
    settings = {"rank": 4}
    expected_failures = {
        "test_rank_above_size_is_refused": RANK,
        "test_seed_decides": SHARED,
        **NO_DROPOUT,
    }
