"""What this distribution registers: the task of classification, and the heads that it trains."""

from collections.abc import Iterable

from graftwork.core import AdapterSpec, TaskSpec, hookimpl

_NMTUNE = (
    "arXiv:2309.17002 Chen et al. 2024, Understanding and Mitigating the Label Noise in "
    "Pre-training on Downstream Tasks"
)


@hookimpl
def tasks() -> Iterable[TaskSpec]:
    """classification."""
    yield TaskSpec(
        name="classification",
        target="graftwork.labels.task:Classifying",
        config="graftwork.labels.evaluation:Judging",
        sampling="graftwork.labels.task:Naming",
        summary="images told apart by class",
    )


@hookimpl
def adapters() -> list[AdapterSpec]:
    """linear-head, mlp-head, nmtune-head."""
    return [
        AdapterSpec(
            name="linear-head",
            target="graftwork.labels.heads.linear:LinearHead",
            summary="a linear classifier on features: the linear probe",
            family="head",
            mergeable=False,
            cites=(
                "arXiv:1610.01644 Alain and Bengio 2016, Understanding intermediate layers using "
                "linear classifier probes",
            ),
        ),
        AdapterSpec(
            name="mlp-head",
            target="graftwork.labels.heads.mlp:MLPHead",
            config="graftwork.labels.heads.mlp:MLPHeadConfig",
            summary="a classifier with one hidden layer",
            family="head",
            mergeable=False,
        ),
        AdapterSpec(
            name="nmtune-head",
            target="graftwork.labels.heads.nmtune:NMTuneHead",
            config="graftwork.labels.heads.nmtune:NMTuneHeadConfig",
            summary="a two-layer change of features before a linear classifier",
            family="head",
            mergeable=False,
            cites=(_NMTUNE,),
        ),
    ]
