"""The kit's checks of models of timm."""

from graftwork.testing import ImageClassifierSuite


class TestViT(ImageClassifierSuite):
    name = "timm"
    settings = {
        "model": "vit_tiny_patch16_224",
        "pretrained": False,
        "arguments": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2},
    }


class TestResNet(ImageClassifierSuite):
    name = "timm"
    settings = {
        "model": "resnet10t",
        "pretrained": False,
        "image_size": 32,
        "arguments": {"channels": [8, 16, 16, 32], "zero_init_last": False},
    }


class TestAugmented(ImageClassifierSuite):
    name = "timm"
    draws = True
    settings = {
        "model": "vit_tiny_patch16_224",
        "pretrained": False,
        "augment": "rand-m5-n3",
        "arguments": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    }
