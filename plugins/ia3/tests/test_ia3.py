from graftwork.testing import AdapterSuite


class TestIA3(AdapterSuite):
    name = "ia3"
