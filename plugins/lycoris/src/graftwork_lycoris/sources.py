"""The papers behind LyCORIS's algorithms."""

_LYCORIS = (
    "arXiv:2309.14859 Yeh et al. 2023, Navigating Text-To-Image Customization: From LyCORIS "
    "Fine-Tuning to Model Evaluation"
)
_LORA = "arXiv:2106.09685 Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models"
_MORE: dict[str, str] = {
    "boft": "arXiv:2311.06243 Liu et al. 2024, Parameter-Efficient Orthogonal Finetuning via "
    "Butterfly Factorization",
    "diag-oft": "arXiv:2306.07280 Qiu et al. 2023, Controlling Text-to-Image Diffusion by "
    "Orthogonal Finetuning",
    "locon": _LORA,
    "loha": "arXiv:2108.06098 Hyeon-Woo et al. 2022, FedPara: Low-Rank Hadamard Product for "
    "Communication-Efficient Federated Learning",
    "lora": _LORA,
    "tlora": "arXiv:2507.05964 T-LoRA, whose rank depends on the timestep",
}


def sources(algorithm: str) -> tuple[str, ...]:
    """LyCORIS's own paper, and the algorithm's where it is another one."""
    return (*((_MORE[algorithm],) if algorithm in _MORE else ()), _LYCORIS)
