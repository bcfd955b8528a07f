"""``graftwork cite``: the papers behind plugins."""

from graftwork.cli.bibtex import entries
from graftwork.cli.lookup import resolve
from graftwork.core.errors import GraftworkError


def cite(names: tuple[str, ...], /) -> None:
    """BibTeX of the papers behind plugins.

    Args:
        names: plugins as `graftwork list` shows them, or KIND/NAME.
    """
    if not names:
        raise GraftworkError("cite: NAMES is missing; as in: graftwork cite lora dora")
    users: dict[str, list[str]] = {}
    for record in dict.fromkeys(map(resolve, names)):
        if not record.cites:
            print(f"% {record.kind}/{record.name} names no source\n")
        for source in record.cites:
            users.setdefault(source, []).append(f"{record.kind}/{record.name}")
    for plugins, entry in zip(users.values(), entries(users), strict=True):
        print(f"% {', '.join(plugins)}\n{entry}\n")
