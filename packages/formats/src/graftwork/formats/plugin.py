"""What this distribution registers: three file formats."""

from graftwork.core import FormatSpec, hookimpl

_HERE = "graftwork.formats"


@hookimpl
def formats() -> list[FormatSpec]:
    """The files that PEFT, kohya's scripts with their user interfaces, and LyCORIS exchange."""
    return [
        FormatSpec(
            name="kohya",
            target=f"{_HERE}.kohya:KohyaFormat",
            config="graftwork.nn.converting:ConvertConfig",
            summary="one file for A1111, ComfyUI and diffusers: LoRA, DoRA, whole differences",
            suffixes=(".safetensors",),
            reads=True,
            writes=True,
        ),
        FormatSpec(
            name="lycoris",
            target=f"{_HERE}.lycoris:LycorisFormat",
            config=f"{_HERE}.lycoris:LycorisConfig",
            summary="one file for LyCORIS, A1111 and ComfyUI: LoHa, LoKr and OFT as well",
            suffixes=(".safetensors",),
            reads=True,
            writes=True,
        ),
        FormatSpec(
            name="peft",
            target=f"{_HERE}.peft:PeftFormat",
            config=f"{_HERE}.peft:PeftConfig",
            summary="adapter_config.json and adapter_model.safetensors, for `PeftModel`",
            suffixes=(".safetensors",),
            reads=True,
            writes=True,
        ),
    ]
