"""From the name of a method to the names of its distribution, module and class."""

import keyword
import re
from dataclasses import dataclass

from graftwork.core.errors import GraftworkError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 60
# Names that the rendered module imports: a class of that name would hide them.
_IMPORTED = {"Annotated", "Float", "Gt", "Search", "Site", "Tensor", "WeightAdapter"}


@dataclass(frozen=True, kw_only=True)
class Names:
    """All the names that a plugin called ``name`` needs."""

    name: str
    """``my-method``, as run files write it."""

    distribution: str
    """``graftwork-my-method``, as installers know it."""

    module: str
    """``graftwork_my_method``."""

    identifier: str
    """``my_method``."""

    class_name: str
    """``MyMethod``."""

    @classmethod
    def of(cls, name: str) -> "Names":
        """Derive them; GraftworkError if ``name`` cannot become all of them."""
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise GraftworkError(
                f"new: {name!r} is no name for a plugin; write lower-case words that begin with "
                "a letter, joined by '-', such as my-method"
            )
        class_name = "".join(word.capitalize() for word in name.split("-"))
        if class_name in _IMPORTED or keyword.iskeyword(class_name):
            raise GraftworkError(
                f"new: {name!r} would make a class called {class_name}, which means something "
                "else already; write a longer name, such as my-method"
            )
        identifier = name.replace("-", "_")
        return cls(
            name=name,
            distribution=f"graftwork-{name}",
            module=f"graftwork_{identifier}",
            identifier=identifier,
            class_name=class_name,
        )
