"""What this distribution registers."""

from collections.abc import Iterable

from graftwork.core import AdapterSpec, FormatSpec, hookimpl


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
        AdapterSpec(
            name="sine-dora",
            target="graftwork.adapters.sine_dora:SineDoRA",
            config="graftwork.adapters.sine_dora:SineDoRAConfig",
            summary="learned length of each row around the direction of sine-lora",
            family="weight",
            cites=(
                "arXiv:2403.19243 Ji et al. 2025, Efficient Learning With Sine-Activated "
                "Low-Rank Matrices",
                "arXiv:2402.09353 Liu et al. 2024, DoRA: Weight-Decomposed Low-Rank Adaptation",
            ),
        ),
        AdapterSpec(
            name="loha",
            target="graftwork.adapters.loha:LoHa",
            config="graftwork.adapters.loha:LoHaConfig",
            summary="entry-wise product of two low-rank matrices",
            family="weight",
            cites=(
                "arXiv:2108.06098 Hyeon-Woo et al. 2022, FedPara: Low-Rank Hadamard Product for "
                "Communication-Efficient Federated Learning",
                "arXiv:2309.14859 Yeh et al. 2023, Navigating Text-To-Image Customization: From "
                "LyCORIS Fine-Tuning to Model Evaluation",
            ),
        ),
        AdapterSpec(
            name="lokr",
            target="graftwork.adapters.lokr:LoKr",
            config="graftwork.adapters.lokr:LoKrConfig",
            summary="Kronecker product of a small matrix and a low-rank one",
            family="weight",
            cites=(
                "arXiv:2309.14859 Yeh et al. 2023, Navigating Text-To-Image Customization: From "
                "LyCORIS Fine-Tuning to Model Evaluation",
            ),
        ),
        AdapterSpec(
            name="oft",
            target="graftwork.adapters.oft:OFT",
            config="graftwork.adapters.oft:OFTConfig",
            summary="rotation of the weight's input or output side, block by block",
            family="weight",
            cites=(
                "arXiv:2306.07280 Qiu et al. 2023, Controlling Text-to-Image Diffusion by "
                "Orthogonal Finetuning",
            ),
        ),
        AdapterSpec(
            name="full",
            target="graftwork.adapters.full:Full",
            summary="a change as large as the weight: fine-tuning of the chosen layers",
            family="weight",
        ),
        AdapterSpec(
            name="textual-inversion",
            target="graftwork.adapters.textual_inversion:TextualInversion",
            config="graftwork.adapters.textual_inversion:TextualInversionConfig",
            summary="a word whose embedding vectors are learned",
            family="token",
            mergeable=False,
            cites=(
                "arXiv:2208.01618 Gal et al. 2023, An Image is Worth One Word: Personalizing "
                "Text-to-Image Generation using Textual Inversion",
            ),
        ),
        AdapterSpec(
            name="dreamartist",
            target="graftwork.adapters.dreamartist:DreamArtist",
            config="graftwork.adapters.dreamartist:DreamArtistConfig",
            summary="a learned word and a learned word for the negative prompt",
            family="token",
            mergeable=False,
            cites=(
                "arXiv:2211.11337 Dong et al. 2022, DreamArtist: Towards Controllable One-Shot "
                "Text-to-Image Generation via Positive-Negative Prompt-Tuning",
            ),
        ),
        AdapterSpec(
            name="affine",
            target="graftwork.adapters.affine:Affine",
            config="graftwork.adapters.affine:AffineConfig",
            summary="a gain and an offset for every output channel",
            family="activation",
            mergeable=False,
            cites=(
                "arXiv:2107.12815 Mohan et al. 2021, Adaptive Denoising via GainTuning",
                "arXiv:2106.10199 Ben Zaken et al. 2022, BitFit: Simple Parameter-efficient "
                "Fine-tuning for Transformer-based Masked Language-models",
            ),
        ),
        AdapterSpec(
            name="style-inject",
            target="graftwork.adapters.style_inject:StyleInject",
            config="graftwork.adapters.style_inject:StyleInjectConfig",
            summary="several low-rank changes, mixed for each input by a router",
            family="activation",
            mergeable=False,
            cites=(
                "arXiv:2401.13942 Zhou et al. 2024, StyleInject: Parameter Efficient Tuning of "
                "Text-to-Image Diffusion Models",
            ),
        ),
        AdapterSpec(
            name="tlora",
            target="graftwork.adapters.tlora:TLoRA",
            config="graftwork.adapters.tlora:TLoRAConfig",
            summary="tensor-ring transform of the weight's input side, plus a residual",
            family="weight",
            cites=(
                "arXiv:2501.08727 Tao et al. 2025, Transformed Low-rank Adaptation via Tensor "
                "Decomposition and Its Applications to Text-to-image Models",
            ),
        ),
    ]


@hookimpl
def formats() -> Iterable[FormatSpec]:
    """The file formats of this distribution."""
    return [
        FormatSpec(
            name="sine-delta",
            target="graftwork.adapters.sine_delta_format:SineDeltaFormat",
            config="graftwork.adapters.sine_delta_format:SineDeltaConfig",
            summary="sine-lora with its factors as k-means codebooks of 1 to 8 bits",
            suffixes=(".safetensors",),
            cites=(
                "arXiv:2505.21895 Ji et al. 2025, Compressing Sine-Activated Low-Rank Adapters "
                "through Post-Training Quantization",
            ),
            reads=True,
            writes=True,
        )
    ]
