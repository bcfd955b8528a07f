"""The frequency of the sine, for all sites or by site."""

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Annotated

from graftwork.core.config import Gt, Search, config
from graftwork.core.errors import GraftworkError


@config
class FrequencyConfig:
    """Settings of a method with sin(omega B A)."""

    omega: Annotated[float, Gt(0), Search(50, 400, log=True)] = 200.0
    """Frequency of the sine, not trained. As it goes to 0 the change becomes LoRA's, times
    omega / sqrt(cols); the best value depends on the task."""

    omega_by_site: Mapping[str, Annotated[float, Gt(0)]] = field(default_factory=dict)
    """Other frequencies for some sites, by shell-style pattern over their dotted names; the first
    pattern that matches counts. Every pattern must decide for at least one site."""

    def omega_at(self, site: str) -> float:
        """The frequency at the site of that name."""
        pattern = self._pattern(site)
        return self.omega if pattern is None else self.omega_by_site[pattern]

    def check_patterns(self, sites: Iterable[str]) -> None:
        """Raise `GraftworkError` for a pattern of `omega_by_site` that decides for no site."""
        sites = list(sites)
        used = {self._pattern(site) for site in sites}
        for pattern in self.omega_by_site:
            if pattern in used:
                continue
            if any(fnmatch.fnmatchcase(site, pattern) for site in sites):
                problem = "earlier patterns take all its sites; put it before them"
            else:
                problem = f"matches none of the graft's sites, such as '{sites[0]}'"
            raise GraftworkError(f"adapter.omega_by_site: '{pattern}': {problem}")

    def _pattern(self, site: str) -> str | None:
        matching = (p for p in self.omega_by_site if fnmatch.fnmatchcase(site, p))
        return next(matching, None)
