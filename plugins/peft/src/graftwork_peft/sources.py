"""The papers behind PEFT's methods, as far as PEFT's own files name them by their arXiv number."""

_LORA = "arXiv:2106.09685 Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models"
_OFT = (
    "arXiv:2306.07280 Qiu et al. 2023, Controlling Text-to-Image Diffusion by Orthogonal Finetuning"
)
_FEDPARA = (
    "arXiv:2108.06098 Hyeon-Woo et al. 2022, FedPara: Low-Rank Hadamard Product for "
    "Communication-Efficient Federated Learning"
)
_LYCORIS = (
    "arXiv:2309.14859 Yeh et al. 2023, Navigating Text-To-Image Customization: From LyCORIS "
    "Fine-Tuning to Model Evaluation"
)
SOURCES: dict[str, tuple[str, ...]] = {
    "beft": (
        "arXiv:2509.15974 BEFT: Bias-Efficient Fine-Tuning of Language Models in Low-Data Regimes",
    ),
    "boft": (
        "arXiv:2311.06243 Liu et al. 2024, Parameter-Efficient Orthogonal Finetuning via Butterfly "
        "Factorization",
        _OFT,
    ),
    "c3a": (
        "arXiv:2407.19342 Chen et al. 2024, Parameter-Efficient Fine-Tuning via Circular "
        "Convolution",
    ),
    "delora": (
        "arXiv:2503.18225 Bini et al. 2025, Decoupling Angles and Strength in Low-rank Adaptation",
    ),
    "fourierft": (
        "arXiv:2405.03003 Gao et al. 2024, Parameter-Efficient Fine-Tuning with Discrete Fourier "
        "Transform",
    ),
    "hra": (
        "arXiv:2405.17484 Yuan et al. 2024, Bridging The Gap between Low-rank and Orthogonal "
        "Adaptation via Householder Reflection Adaptation",
    ),
    "ia3": (
        "arXiv:2205.05638 Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and "
        "Cheaper than In-Context Learning",
    ),
    "lily": (
        "arXiv:2407.09946 Zhong et al. 2024, Low-Rank Interconnected Adaptation across Layers",
    ),
    "ln_tuning": (
        "arXiv:2312.11420 Zhao et al. 2023, Tuning LayerNorm in Attention: Towards Efficient "
        "Multi-Modal LLM Finetuning",
    ),
    "loha": (_FEDPARA,),
    "lokr": (_LYCORIS, _FEDPARA),
    "lora": (_LORA,),
    "miss": (
        "arXiv:2409.15371 Kang et al. 2024, MiSS: Revisiting the Trade-off in LoRA with an "
        "Efficient Shard-Sharing Structure",
    ),
    "oft": (_OFT,),
    "peanut": ("arXiv:2410.01870 PEANuT, as PEFT cites it",),
    "poly": ("arXiv:2202.13914 Ponti et al. 2022, Combining Modular Skills in Multitask Learning",),
    "pvera": ("arXiv:2512.07703 PVeRA, as PEFT cites it",),
    "randlora": (
        "arXiv:2502.00987 Albert et al. 2025, RandLoRA: Full-rank parameter-efficient fine-tuning "
        "of large models",
    ),
    "road": (
        "arXiv:2409.00119 Liao et al. 2024, 3-in-1: 2D Rotary Adaptation for Efficient Finetuning, "
        "Efficient Batching and Composability",
    ),
    "supertuning": ("arXiv:2607.09287 Super-Tuning, as PEFT cites it",),
    "tinylora": ("arXiv:2602.04118 TinyLoRA, as PEFT cites it",),
    "unilora": ("arXiv:2506.00799 Li et al. 2025, Uni-LoRA: One Vector is All You Need",),
    "vblora": (
        "arXiv:2405.15179 Li et al. 2024, VB-LoRA: Extreme Parameter Efficient Fine-Tuning with "
        "Vector Banks",
    ),
    "vera": ("arXiv:2310.11454 Kopiczko et al. 2023, VeRA: Vector-based Random Matrix Adaptation",),
}
"""By method. PEFT names no such number for the others; see its documentation of them."""
