"""What this distribution registers."""

from collections.abc import Iterable

from graftwork.core import AdapterSpec, hookimpl


@hookimpl
def adapters() -> Iterable[AdapterSpec]:
    """The adapters of this distribution."""
    return [
        AdapterSpec(
            name="lora",
            target="graftwork.adapters.lora:LoRA",
            config="graftwork.adapters.lora:LoRAConfig",
            summary="low-rank change added to the weight, plain or rank-stabilised",
            family="weight",
            cites=(
                "arXiv:2106.09685 Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language "
                "Models",
                "arXiv:2312.03732 Kalajdzievski 2023, A Rank Stabilization Scaling Factor for "
                "Fine-Tuning with LoRA",
            ),
        ),
        AdapterSpec(
            name="dora",
            target="graftwork.adapters.dora:DoRA",
            config="graftwork.adapters.dora:DoRAConfig",
            summary="low-rank change of direction, learned length of each row",
            family="weight",
            cites=(
                "arXiv:2402.09353 Liu et al. 2024, DoRA: Weight-Decomposed Low-Rank Adaptation",
            ),
        ),
        AdapterSpec(
            name="sine-lora",
            target="graftwork.adapters.sine:SineLoRA",
            config="graftwork.adapters.sine:SineLoRAConfig",
            summary="sine of a low-rank product, of high rank at LoRA's size",
            family="weight",
            cites=(
                "arXiv:2403.19243 Ji et al. 2025, Efficient Learning With Sine-Activated "
                "Low-Rank Matrices",
            ),
        ),
    ]
