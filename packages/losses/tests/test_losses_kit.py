"""The kit's checks, as a stranger's loss would run them."""

from graftwork.testing import LossSuite


class TestDenoising(LossSuite):
    name = "denoising"


class TestMinSNR(LossSuite):
    name = "denoising"
    settings = {"min_snr_gamma": 5.0}


class TestCAT(LossSuite):
    name = "cat"


class TestDreamArtist(LossSuite):
    name = "dreamartist"


class TestDreamArtistInFull(LossSuite):
    name = "dreamartist"
    settings = {"guidance": "1.5-3:cos", "reconstruction": 0.5, "min_snr_gamma": 2.0}
