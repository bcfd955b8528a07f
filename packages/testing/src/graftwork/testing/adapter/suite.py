"""The suite for adapters."""

from graftwork.testing.adapter.files import Files
from graftwork.testing.adapter.life import Life
from graftwork.testing.adapter.machinery import Machinery
from graftwork.testing.adapter.maths import Maths


class AdapterSuite(Maths, Life, Files, Machinery):
    """Checks of one adapter on every kind of site.

    ```python
    class TestIA3(AdapterSuite):
        name = "ia3"
    ```

    Attributes to declare: `name`; `settings`, when some are required; `unsupported`, kinds of site
    that the adapter refuses; `identity_at_start`; the tolerances; `expected_failures`.
    """
