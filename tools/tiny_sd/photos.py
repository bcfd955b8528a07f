"""The photographs: what they show, where to crop them, who made them.

Every photograph ships inside the scikit-image or the scikit-learn wheel, so nothing is
downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Framing:
    """Where a crop may lie: ranges for its centre and side, as fractions of the photo.

    Centres are fractions of width and height; the side is a fraction of the short side.
    """

    centre_x: tuple[float, float] = (0.0, 1.0)
    centre_y: tuple[float, float] = (0.0, 1.0)
    side: tuple[float, float] = (0.75, 1.0)


@dataclass(frozen=True)
class Photo:
    """One photograph with its two framings, source and licence."""

    subject: str
    package: str
    path: str
    licence: str
    wide: Framing = Framing()
    close: Framing = Framing(side=(0.25, 0.35))
    # Mirrored text or a mirrored logo would be wrong, most other things may be mirrored.
    mirror: bool = True
    # Pad to a square with white: the horse's silhouette fills the whole width of its file.
    square_white: bool = False

    def framing(self, close: bool) -> Framing:
        return self.close if close else self.wide


def _skimage(subject: str, file: str, licence: str, **options: object) -> Photo:
    return Photo(subject, "skimage", f"data/{file}", licence, **options)  # type: ignore[arg-type]


def _sklearn(subject: str, file: str, licence: str, **options: object) -> Photo:
    return Photo(subject, "sklearn", f"datasets/images/{file}", licence, **options)  # type: ignore[arg-type]


TRAINING_PHOTOS: tuple[Photo, ...] = (
    _skimage(
        "astronaut",
        "astronaut.png",
        "NASA Great Images; no known copyright restrictions, public domain",
        wide=Framing((0.38, 0.48), (0.3, 0.4), (0.68, 0.8)),
        close=Framing((0.41, 0.47), (0.19, 0.25), (0.38, 0.48)),
    ),
    _skimage(
        "brick",
        "brick.png",
        "CC0Textures Bricks25; CC0",
        wide=Framing(side=(0.45, 0.6)),
        close=Framing(side=(0.2, 0.26)),
    ),
    _skimage(
        "cameraman",
        "camera.png",
        "CC0 by the photographer, Lav Varshney",
        wide=Framing(side=(0.85, 1.0)),
        close=Framing((0.42, 0.5), (0.22, 0.28), (0.36, 0.46)),
    ),
    _skimage(
        "cell",
        "cell.png",
        "Paul Müller et al., Optics Express 26 (8), 2018; CC0",
        wide=Framing((0.5, 0.6), (0.5, 0.58), (0.88, 1.0)),
        close=Framing((0.74, 0.8), (0.54, 0.6), (0.36, 0.46)),
    ),
    _skimage(
        "coins",
        "coins.png",
        "Brooklyn Museum Collection; no known copyright restrictions",
        wide=Framing(side=(0.85, 1.0)),
        close=Framing(side=(0.34, 0.44)),
    ),
    _sklearn(
        "flower",
        "flower.jpg",
        # The package's own note names another photographer than its link does.
        "CC BY 2.0; scikit-learn credits danielbuechele and links to "
        "https://www.flickr.com/photos/vultilion/6056698931/",
        wide=Framing((0.42, 0.58), (0.5, 0.5), (0.85, 1.0)),
        close=Framing((0.44, 0.5), (0.44, 0.5), (0.38, 0.48)),
    ),
    _skimage(
        "galaxies",
        "hubble_deep_field.jpg",
        "HubbleSite; captured by NASA, may be freely used in the public domain",
        wide=Framing(side=(0.5, 0.7)),
        close=Framing(side=(0.18, 0.24)),
    ),
    _skimage(
        "gravel",
        "gravel.png",
        "CC0Textures Gravel04; CC0",
        wide=Framing(side=(0.38, 0.5)),
        close=Framing(side=(0.15, 0.2)),
    ),
    _skimage(
        "horse",
        "horse.png",
        "openclipart; CC0 by the owner, Andreas Preuss (marauder)",
        wide=Framing(side=(0.92, 1.0)),
        close=Framing((0.76, 0.82), (0.3, 0.36), (0.42, 0.52)),
        square_white=True,
    ),
    _skimage(
        "moon",
        "moon.png",
        "scikit-image gives no source and no licence",
        wide=Framing(side=(0.8, 1.0)),
        close=Framing((0.2, 0.28), (0.14, 0.24), (0.26, 0.36)),
    ),
    _skimage(
        "page",
        "page.png",
        "scikit-image gives no source and no licence",
        wide=Framing(side=(0.9, 1.0)),
        close=Framing(side=(0.4, 0.5)),
        mirror=False,
    ),
    _skimage(
        "retina",
        "retina.jpg",
        "Wikimedia Commons, Mikael Haggstrom, WikiJournal of Medicine 1 (2), 2014; CC0",
        wide=Framing(side=(0.94, 1.0)),
        close=Framing((0.2, 0.8), (0.35, 0.65), (0.36, 0.46)),
    ),
    _skimage(
        "rocket",
        "rocket.jpg",
        "SpaceX Photos; released in the public domain by SpaceX",
        wide=Framing((0.44, 0.56), (0.5, 0.5), (0.88, 1.0)),
        close=Framing((0.48, 0.52), (0.46, 0.56), (0.42, 0.52)),
    ),
    _sklearn(
        "temple",
        "china.jpg",
        "CC BY 2.0, photograph by danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/",
        wide=Framing((0.34, 0.44), (0.5, 0.5), (0.88, 1.0)),
        close=Framing((0.3, 0.36), (0.26, 0.34), (0.4, 0.5)),
    ),
    _skimage(
        "tissue",
        "ihc.png",
        "Center for Microscopy And Molecular Imaging; no known copyright restrictions",
    ),
)

# Never seen by any training stage: these are the subjects one personalises on.
HELD_OUT_PHOTOS: tuple[Photo, ...] = (
    _skimage(
        "cat",
        "chelsea.png",
        "CC0 by the photographer, Stefan van der Walt",
        wide=Framing((0.45, 0.6), (0.5, 0.5), (0.9, 1.0)),
        close=Framing((0.48, 0.58), (0.3, 0.45), (0.5, 0.65)),
    ),
    _skimage(
        "cup",
        "coffee.png",
        "CC0 by the photographer, Rachel Michetti; courtesy of Pikolo Espresso Bar",
        wide=Framing((0.42, 0.56), (0.5, 0.5), (0.9, 1.0)),
        close=Framing((0.44, 0.54), (0.36, 0.46), (0.55, 0.7)),
    ),
)

SUBJECTS: tuple[str, ...] = tuple(photo.subject for photo in TRAINING_PHOTOS)
