from graftwork.testing import AdapterSuite


class TestLoRA(AdapterSuite):
    name = "lora"
    settings = {"rank": 2}


class TestRankStabilizedLoRA(AdapterSuite):
    name = "lora"
    settings = {"rank": 2, "alpha": 3.0, "rank_stabilized": True}


class TestDoRA(AdapterSuite):
    name = "dora"
    settings = {"rank": 2}


class TestSineLoRA(AdapterSuite):
    name = "sine-lora"
    settings = {"rank": 2, "alpha": 4.0}
