"""``graftwork schema``: JSON Schema, for editors that complete and check run files."""

import json

from graftwork.cli.lookup import resolve
from graftwork.core.config import schema as settings_schema
from graftwork.core.importing import import_target


def schema(name: str | None = None, /) -> None:
    """JSON Schema of run files or, given a name, of one plugin's settings.

    Args:
        name: a plugin as `graftwork list` shows it, or KIND/NAME.
    """
    if name is not None:
        made = settings_schema(resolve(name).settings_class())
    else:
        # By name, for this command works without graftwork-train for everything else.
        target = "graftwork.train.schema:schema"
        made = import_target(target, place="schema of run files", install="graftwork-train")()
    print(json.dumps(made, indent=2, default=str))
