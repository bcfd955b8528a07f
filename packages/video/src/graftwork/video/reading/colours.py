"""Pictures of any mode as 8-bit RGB."""

import numpy as np
from PIL import Image

_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def to_rgb(image: Image.Image) -> Image.Image:
    """Transparency is laid over white; 16-bit grey is brought to 8 bits.

    Raises:
        ValueError: the pixels have no range that is known, or are outside 16 bits.
    """
    if image.mode in _DEEP_GREY:
        return _from_16_bits(image).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips every value above 255 to white.
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError("pixels outside 16 bits; save it with 8 or 16 bits")
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
