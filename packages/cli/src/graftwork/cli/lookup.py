"""Finding a plugin by the name a user wrote, with or without its kind."""

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean, nearest
from graftwork.core.records import KINDS, Record


def resolve(name: str) -> Record:
    """The record called ``name`` or ``KIND/NAME``.

    Raises GraftworkError when there is none, with the nearest name, or more than one, with the
    names that tell them apart.
    """
    kind, _, plain = name.partition("/")
    if plain and (kind in KINDS or nearest(kind, KINDS)):
        return registry.find(kind, plain)  # else the slash is part of the name: "peft/vera"
    found = [kind for kind in KINDS if name in registry.names(kind)]
    if len(found) > 1:
        choices = " or ".join(f"{kind}/{name}" for kind in found)
        raise GraftworkError(f"{name}: several plugins have this name; write {choices}")
    if not found:
        known = {each for kind in KINDS if kind != "commands" for each in registry.names(kind)}
        raise GraftworkError(f"{name}: no plugin has this name{did_you_mean(name, known)}")
    return registry.find(found[0], name)
