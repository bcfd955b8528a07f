"""`graftwork export` and `graftwork import`: between adapters and the files of other tools."""

from pathlib import Path

from graftwork.core.errors import GraftworkError


def export(
    adapter: Path,
    /,
    *,
    format: str,
    out: Path,
    run: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Write a trained adapter in another tool's format.

    Of a run with several adapters, name one: RUN/adapter/NAME.

    Settings of the format are given as `--format.convert svd --format.rank 8`;
    `graftwork show formats/kohya` lists those of kohya.

    Args:
        adapter: a run, an adapter's folder, or a file of another tool.
        format: a format that `graftwork list formats` shows as written.
        out: the folder to write; a name that ends in .safetensors where the format is one file.
        run: a run or run file with the backbone; or name one as `--backbone.kind tiny-sd`.
        overrides: settings of the format and of the backbone.
    """
    from graftwork.nn.exporting import check
    from graftwork.nn.exporting import export as write
    from graftwork.train import places
    from graftwork.train.run import refuse_taken

    places.refuse_others(overrides, known=("format", "backbone"), command="export")
    settings = places.settings_of("format", overrides)
    check(format, settings)
    place = places.locate(adapter)
    refuse_taken(out, resumable=False)
    backbone = places.open_backbone([place], run=run, overrides=overrides)
    (handle,) = places.load([place], backbone)
    written = write(handle, out, format=format, settings=settings)
    lost = "" if written.error is None else f", relative error {written.error:.2e}"
    print(f"wrote {written.path}{lost}")


def import_(
    file: Path, /, *, out: Path, run: Path | None = None, overrides: tuple[str, ...] = ()
) -> None:
    """Read another tool's adapter and write it as a graftwork adapter.

    Args:
        file: a file or folder in a format that `graftwork list formats` shows as read.
        out: the adapter's folder to write.
        run: a run or run file with the backbone; or name one as `--backbone.kind tiny-sd`.
        overrides: settings of the backbone.
    """
    from graftwork.nn.card import CARD
    from graftwork.train import places
    from graftwork.train.run import refuse_taken

    places.refuse_others(overrides, known=("backbone",), command="import")
    place = places.locate(file)
    if (place.adapter / CARD).is_file():
        raise GraftworkError(f"{file}: is a graftwork adapter already; there is nothing to import")
    refuse_taken(out, resumable=False)
    backbone = places.open_backbone([place], run=run, overrides=overrides)
    (handle,) = places.load([place], backbone)
    handle.save(out)
    print(
        f"wrote {out}: {handle.method}, {len(handle.sites)} sites, "
        f"{handle.num_parameters():,} parameters"
    )
