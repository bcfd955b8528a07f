"""The kit's checks of the metrics of raw-video denoisers."""

from graftwork.testing import RawMetricSuite


class TestPSNR(RawMetricSuite):
    name = "psnr"


class TestStandardPSNR(RawMetricSuite):
    name = "psnr"
    settings = {"protocol": "standard"}


class TestSSIM(RawMetricSuite):
    name = "ssim"
    range = (-1.0, 1.0)
    perfect = {"reproduced": 1.0}
    tolerance = 1e-3  # whole DN of ten bits


class TestStandardSSIM(RawMetricSuite):
    name = "ssim"
    settings = {"protocol": "standard"}
    range = (-1.0, 1.0)
    perfect = {"reproduced": 1.0}


class TestSRGBPSNR(RawMetricSuite):
    name = "srgb-psnr"
    perfect = {"reproduced": 140.0}


class TestTemporalPSNR(RawMetricSuite):
    name = "temporal-psnr"
    perfect = {"reproduced": 140.0}
