"""What every suite is: checks that cannot be weakened without saying why."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from graftwork.core.nearest import did_you_mean


class Suite:
    """Base of the suites.

    A check that is known to fail is named in `expected_failures` with the reason; it must then
    fail, so that the entry goes when the reason does. One case of a check with several is named
    as pytest prints it: `"test_merge_equals_forward[conv3d]"`.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Name of a check, or of one of its cases, to the reason why it fails."""

    @pytest.fixture(autouse=True)
    def _expect_failures(self, request: pytest.FixtureRequest) -> None:
        names = (request.node.name, request.node.originalname)
        reason = next((self.expected_failures[n] for n in names if n in self.expected_failures), "")
        if reason:
            request.node.add_marker(pytest.mark.xfail(reason=reason, strict=True))

    def test_suite_is_whole(self) -> None:
        """Every check of the kit runs as the kit wrote it.

        When it fails: take your own version of the check away, or keep it and name the check in
        `expected_failures` with the reason why it cannot pass.
        """
        for name, reason in self.expected_failures.items():
            check = name.partition("[")[0]
            known = [attribute for attribute in dir(self) if attribute.startswith("test_")]
            assert check in known, (
                f"expected_failures: no check is called '{check}'{did_you_mean(check, known)}"
            )
            assert reason.strip(), f"expected_failures: say why '{name}' fails"
        for name, kit in kit_checks(type(self)).items():
            intact = getattr(type(self), name, None) is kit
            assert intact or name in self.expected_failures, (
                f"'{name}' was deleted or overridden; remove your version, or name the check in "
                "expected_failures with the reason why it fails"
            )


def kit_checks(suite: type) -> dict[str, object]:
    """The checks that the kit's own classes give to a suite, by name."""
    checks: dict[str, object] = {}
    for base in reversed(suite.__mro__):
        if base.__module__.startswith("graftwork.testing"):
            checks |= {key: value for key, value in vars(base).items() if key.startswith("test_")}
    return checks
