"""What this distribution registers."""

from graftwork.core import AdapterSpec, hookimpl


@hookimpl
def adapters() -> list[AdapterSpec]:
    """IA3."""
    return [
        AdapterSpec(
            name="ia3",
            target="graftwork_ia3.adapter:IA3",
            config="graftwork_ia3.adapter:IA3Config",
            summary="learned scale of every output or input",
            family="weight",
            forms={"peft": "graftwork_ia3.peft:PeftForm"},
            cites=("arXiv:2205.05638 Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning",),
        )
    ]
