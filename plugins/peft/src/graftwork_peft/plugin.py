"""What this distribution registers: one adapter for each method of the installed PEFT."""

from graftwork.core import AdapterSpec, hookimpl


@hookimpl
def adapters() -> list[AdapterSpec]:
    """`peft/<method>` for every method that can sit on a plain layer."""
    from graftwork_peft import catalogue

    return [
        _record(method, on_weight=method not in catalogue.ACTIVATION)
        for method in catalogue.injectable()
    ]


def _record(method: str, *, on_weight: bool) -> AdapterSpec:
    from graftwork_peft.sources import SOURCES

    return AdapterSpec(
        name=f"peft/{method}",
        target=f"graftwork_peft.adapters:{method}",
        config=f"graftwork_peft.settings:{method}",
        summary=f"{method} as PEFT has it",
        family="weight" if on_weight else "activation",
        mergeable=on_weight,
        cites=SOURCES.get(method, ()),
    )
