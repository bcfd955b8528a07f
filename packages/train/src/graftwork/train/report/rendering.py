"""Templates to pages. Escaping is always on: settings, prompts and reasons are users' text."""

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from graftwork.core.versions import environment as versions
from graftwork.train.report import highlight, words

_HERE = "graftwork.train.report"


def render(template: str, *, package: str = _HERE, **facts: Any) -> str:
    """A page from a template in `package`'s templates folder, or in this one's."""
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, _HERE))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "address": words.address,
        "count": words.count,
        "duration": words.duration,
        "headline": words.headline,
        "label": words.label,
        "number": words.number,
        "setting": words.setting,
        "toml": highlight.toml,
    }
    environment.globals |= {"plural": words.plural, "signed": words.signed}
    script = (files(_HERE) / "templates" / "page.js").read_text(encoding="utf-8")
    return environment.get_template(template).render(
        script=script,
        script_hash=_digest(script),
        graftwork=versions().get("graftwork-core", ""),
        **facts,
    )


def _digest(script: str) -> str:
    """What the page's content security policy knows its one script by."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
