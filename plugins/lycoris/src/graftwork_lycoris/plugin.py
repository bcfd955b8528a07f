"""What this distribution registers: one adapter for each algorithm of the installed LyCORIS."""

from graftwork.core import AdapterSpec, hookimpl


@hookimpl
def adapters() -> list[AdapterSpec]:
    """`lycoris/<algorithm>` for every algorithm that works."""
    from graftwork_lycoris import catalogue

    return [_record(algorithm) for algorithm in catalogue.working()]


def _record(algorithm: str) -> AdapterSpec:
    from graftwork_lycoris.sources import sources

    word = algorithm.replace("-", "_")
    return AdapterSpec(
        name=f"lycoris/{algorithm}",
        target=f"graftwork_lycoris.adapters:{word}",
        config=f"graftwork_lycoris.settings:{word}",
        summary=f"{algorithm} as LyCORIS has it",
        family="weight",
        cites=sources(algorithm),
    )
