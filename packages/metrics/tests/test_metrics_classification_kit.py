"""The kit's checks of the metrics of image classifiers."""

import math

from graftwork.testing import LabelMetricSuite


class TestAccuracy(LabelMetricSuite):
    name = "accuracy"
    range = (0.0, 1.0)
    perfect = {"reproduced": 1.0}


class TestMacroAccuracy(LabelMetricSuite):
    name = "accuracy"
    settings = {"average": "macro"}
    range = (0.0, 1.0)
    perfect = {"reproduced": 1.0}


class TestTopAccuracy(LabelMetricSuite):
    name = "accuracy"
    settings = {"top": 2}
    range = (0.0, 1.0)


class TestCalibrationError(LabelMetricSuite):
    name = "calibration-error"
    range = (0.0, 1.0)
    perfect = {"reproduced": 0.0}


class TestSVE(LabelMetricSuite):
    name = "sve"
    range = (0.0, math.log(5))


class TestSVEOfTheCode(LabelMetricSuite):
    name = "sve"
    settings = {"normalisation": "code", "components": 3}
    range = (0.0, math.log(3))


class TestLSVR(LabelMetricSuite):
    name = "lsvr"
    range = (0.0, math.log(5))
