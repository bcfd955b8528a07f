"""PEFT's own loader and PEFT's own files decide whether ours are right."""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, load_graft

Strong = Callable[..., Graft]
POINT = ["block.to_mix", "ff.*"]

# Effects are of the order of 0.1; PEFT computes B (A x) where ours may form the weight.
EXACT = {"atol": 1e-6, "rtol": 1e-5}

CASES = {
    "lora": ("lora", {"rank": 3, "alpha": 5.0}, "*"),
    "lora, alpha left out": ("lora", {"rank": 3}, "*"),
    "lora, rank-stabilised": ("lora", {"rank": 4, "alpha": 3.0, "rank_stabilized": True}, "*"),
    "dora": ("dora", {"rank": 3, "alpha": 5.0}, "*"),
    "loha": ("loha", {"rank": 2, "alpha": 5.0}, "*"),
    "lokr": ("lokr", {"rank": 1, "alpha": 3.0}, "*"),
    "lokr, whole": ("lokr", {"rank": 4, "alpha": 3.0, "factor": 2}, "*"),
    "lokr, both products": ("lokr", {"rank": 1, "alpha": 3.0, "decompose_both": True}, "*"),
    "oft": ("oft", {"block_size": 4}, POINT),
    "oft, series": ("oft", {"block_size": 4, "cayley": "neumann"}, POINT),
    "oft, constrained": ("oft", {"block_size": 4, "constraint": 0.02}, POINT),
}


@pytest.mark.parametrize(("method", "settings", "sites"), CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("error", "ignore:Invalid `oft_block_size`")
def test_peft_loads_ours_and_so_do_we(
    method: str, settings: Any, sites: Any, net: Any, make_strong: Strong, x: Tensor, tmp_path: Path
) -> None:
    base, ours = net(), net()
    handle = make_strong(ours, method, settings, sites)
    assert (ours(x) - base(x)).abs().max() > 0.01, "the graft must show"
    assert handle.export(tmp_path / "out", format="peft") == tmp_path / "out"

    theirs = PeftModel.from_pretrained(net(), str(tmp_path / "out"))
    torch.testing.assert_close(theirs(x), ours(x), **EXACT)
    torch.testing.assert_close(theirs.merge_and_unload()(x), ours(x), **EXACT)

    again = net()
    assert load_graft(again, tmp_path / "out").method == method
    torch.testing.assert_close(again(x), ours(x), **EXACT)


TARGETS = ["conv_in", "block.to_mix", "ff.0", "ff.1"]
THEIRS = {
    "lora": peft.LoraConfig(
        r=3,
        lora_alpha=5,
        target_modules=TARGETS,
        rank_pattern={"ff.0": 2, "^conv_in": 4},
        alpha_pattern={"ff.0": 7, "1": 1},
    ),
    "rslora": peft.LoraConfig(r=4, lora_alpha=3, use_rslora=True, target_modules=TARGETS),
    "dora": peft.LoraConfig(r=3, lora_alpha=5, use_dora=True, target_modules=TARGETS),
    "loha": peft.LoHaConfig(r=2, alpha=5, target_modules=TARGETS, rank_pattern={"ff.0": 3}),
    "loha, Tucker": peft.LoHaConfig(
        r=2, alpha=5, target_modules=TARGETS, use_effective_conv2d=True
    ),
    "lokr": peft.LoKrConfig(r=1, alpha=3, target_modules=TARGETS),
    "lokr, Tucker": peft.LoKrConfig(
        r=1, alpha=3, target_modules=TARGETS, use_effective_conv2d=True
    ),
    "lokr, whole": peft.LoKrConfig(r=8, alpha=3, target_modules=TARGETS),
    "lokr, factor": peft.LoKrConfig(r=1, alpha=3, target_modules=TARGETS[1:], decompose_factor=2),
    "oft": peft.OFTConfig(oft_block_size=4, target_modules=TARGETS[1:], use_cayley_neumann=False),
    "oft, series": peft.OFTConfig(oft_block_size=4, target_modules=TARGETS[1:]),
    "oft, shared": peft.OFTConfig(oft_block_size=4, target_modules=TARGETS[1:], block_share=True),
}


@pytest.mark.parametrize("config", THEIRS.values(), ids=THEIRS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_we_load_what_peft_saves(config: Any, net: Any, x: Tensor, tmp_path: Path) -> None:
    theirs = get_peft_model(net(), config)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter)) if "magnitude" in name else (
                    parameter.copy_(0.3 * torch.randn_like(parameter))
                )
    theirs.eval().save_pretrained(tmp_path)
    base, ours = net(), net()
    load_graft(ours, tmp_path)
    assert (theirs(x) - base(x)).abs().max() > 0.01
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_embeddings_and_their_saved_base_weights(tmp_path: Path) -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            OrderedDict({"embed_tokens": nn.Embedding(9, 6), "head": nn.Linear(6, 4)})
        )

    ids = torch.arange(9)[None]
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["embed_tokens"])
    theirs = get_peft_model(make(), config)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = make()
    handle = load_graft(ours, tmp_path / "theirs")
    torch.testing.assert_close(ours(ids), theirs(ids), **EXACT)
    handle.export(tmp_path / "ours", format="peft")
    again = PeftModel.from_pretrained(make(), str(tmp_path / "ours"))
    torch.testing.assert_close(again(ids), ours(ids), **EXACT)

    file = tmp_path / "theirs" / "adapter_model.safetensors"
    tensors = load_file(file)
    base = "base_model.model.embed_tokens.base_layer.weight"
    own = make().embed_tokens.weight.detach()  # PEFT saves it for models of transformers
    save_file({**tensors, base: own}, file)
    same = make()
    load_graft(same, tmp_path / "theirs")
    torch.testing.assert_close(same(ids), ours(ids), **EXACT)
    save_file({**tensors, base: own + 1}, file)
    with pytest.raises(GraftworkError, match="other base weights for 'embed_tokens'"):
        load_graft(make(), tmp_path / "theirs")


def test_the_flag_tells_the_sense_of_the_rotation(
    net: Any, make_strong: Strong, tmp_path: Path
) -> None:
    """The exact branch of PEFT turns in the sense opposite to its series (methods, 4.5)."""
    for cayley in ("exact", "neumann"):
        handle = make_strong(net(), "oft", {"block_size": 4, "cayley": cayley}, POINT)
        handle.export(tmp_path / cayley, format="peft")
        config = json.loads((tmp_path / cayley / "adapter_config.json").read_text())
        assert config["use_cayley_neumann"] == (cayley == "neumann")
        assert load_graft(net(), tmp_path / cayley).settings.cayley == cayley


def test_a_part_of_the_model(model: Any, net: Any, make_strong: Strong, tmp_path: Path) -> None:
    ours = model()
    handle = make_strong(ours, "lora", {"rank": 2, "alpha": 3.0})
    handle.export(tmp_path / "unet", format="peft", part="unet")
    theirs = PeftModel.from_pretrained(net(), str(tmp_path / "unet"))
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(theirs(x), ours.unet(x), **EXACT)
    again = model()
    load_graft(again, tmp_path / "unet")
    torch.testing.assert_close(again.unet(x), ours.unet(x), **EXACT)
    with pytest.raises(GraftworkError, match="no site of this adapter lies in 'vae'"):
        handle.export(tmp_path / "vae", format="peft", part="vae")


def test_the_weight_is_folded_in(net: Any, make_strong: Strong, x: Tensor, tmp_path: Path) -> None:
    for method in ("lora", "loha", "lokr"):
        ours = net()
        handle = make_strong(ours, method, {"rank": 2, "alpha": 3.0})
        handle.weight = -0.5
        handle.export(tmp_path / method, format="peft")
        theirs = PeftModel.from_pretrained(net(), str(tmp_path / method))
        torch.testing.assert_close(theirs(x), ours(x), **EXACT)


UNFIT: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "sine-lora": ("sine-lora", {"rank": 2}, {}, "sine-lora is none of them; set convert = 'svd'"),
    "oft of the output": ("oft", {"block_size": 2, "side": "output"}, {}, "use lycoris"),
    "svd without a rank": ("lora", {}, {"convert": "svd"}, "'svd' needs a rank"),
    "a rank for nothing": ("lora", {}, {"rank": 2}, "rank: is for convert = 'svd' alone"),
    "differences": ("lora", {}, {"convert": "diff"}, "convert"),
    "unknown setting": ("lora", {}, {"dtype": "float16"}, "dtype: unknown key"),
}


@pytest.mark.parametrize(("method", "settings", "more", "says"), UNFIT.values(), ids=UNFIT)
def test_what_it_cannot_hold_is_refused(
    method: str, settings: Any, more: Any, says: str, net: Any, tmp_path: Path
) -> None:
    handle = graft(net(), method, {"rank": 2} if method == "lora" else settings, sites="ff.*")
    with pytest.raises(GraftworkError, match=says) as error:
        handle.export(tmp_path / "out", format="peft", **more)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_layers_on_which_peft_differs_are_refused(tmp_path: Path) -> None:
    layers = {
        "forgets the dilation": nn.Conv2d(4, 4, 3, dilation=2),
        "in groups": nn.Conv2d(4, 4, 3, groups=2),
        "zeros only": nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    }
    for says, layer in layers.items():
        handle = graft(nn.Sequential(layer), "lora", {"rank": 2}, sites="0")
        with pytest.raises(GraftworkError, match=says):
            handle.export(tmp_path / "out", format="peft")
    handle = graft(nn.Sequential(nn.Conv2d(4, 4, 3)), "oft", {"block_size": 4}, sites="0")
    with pytest.raises(GraftworkError, match="another output for oft on the kernel of '0'"):
        handle.export(tmp_path / "out", format="peft")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_why_oft_on_kernels_is_refused(x: Tensor) -> None:
    """PEFT's own forward and merge disagree there."""
    torch.manual_seed(0)
    config = peft.OFTConfig(oft_block_size=4, target_modules=["0"], use_cayley_neumann=False)
    theirs = get_peft_model(nn.Sequential(nn.Conv2d(4, 8, 3)), config)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    before = theirs(x)
    assert (theirs.merge_and_unload()(x) - before).abs().max() > 0.01


BROKEN: dict[str, tuple[Callable[[dict[str, Any], dict[str, Tensor]], Any], str]] = {
    "unknown method": (lambda c, t: c.update(peft_type="BOFT"), "peft_type BOFT is not read here"),
    "transposed": (lambda c, t: c.update(fan_in_fan_out=True), "fan_in_fan_out: weights are"),
    "PiSSA": (lambda c, t: c.update(init_lora_weights="pissa_niter_4"), "changed the base weights"),
    "no method": (lambda c, t: c.pop("peft_type"), "not a configuration of PEFT"),
    "another key": (
        lambda c, t: t.update({"base_model.model.ff.0.omega": torch.ones(1)}),
        "'base_model.model.ff.0.omega' is no part of lora",
    ),
    "a bias": (
        lambda c, t: t.update({"base_model.model.ff.0.bias": torch.ones(16)}),
        "'base_model.model.ff.0.bias' is no part of lora",
    ),
    "one factor": (
        lambda c, t: t.pop("base_model.model.ff.0.lora_B.weight"),
        "'ff.0': 'lora_B.weight' is missing",
    ),
    "another model": (
        lambda c, t: t.update({"base_model.model.x.lora_A.weight": torch.ones(2, 3)}),
        "the model has no site 'x'",
    ),
    "not finite": (
        lambda c, t: t["base_model.model.ff.0.lora_A.weight"].fill_(torch.nan),
        "holds NaN or infinity",
    ),
    "another shape": (
        lambda c, t: t.update({"base_model.model.ff.0.lora_A.weight": torch.ones(2, 5)}),
        "made for another model",
    ),
}


@pytest.mark.parametrize(("change", "says"), BROKEN.values(), ids=BROKEN)
def test_a_bad_folder_is_one_clear_error(
    change: Any, says: str, net: Any, make_strong: Strong, tmp_path: Path
) -> None:
    make_strong(net(), "lora", {"rank": 2}).export(tmp_path / "out", format="peft")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    change(config, tensors)
    (tmp_path / "out" / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, tmp_path / "out" / "adapter_model.safetensors")
    other = net()
    keys = other.state_dict().keys()
    with pytest.raises(GraftworkError, match=says) as error:
        load_graft(other, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert other.state_dict().keys() == keys


OPTIONS = {
    "coft": ({"coft": True}, "'coft' constrains the rotation in another way"),
    "terms": ({"num_cayley_neumann_terms": 7}, "only 5 are known"),
    "old series": ({"peft_version": "0.17.1"}, "PEFT before 0.18"),
}


@pytest.mark.parametrize(("option", "says"), OPTIONS.values(), ids=OPTIONS)
def test_rotations_that_mean_something_else(
    option: Any, says: str, net: Any, make_strong: Strong, tmp_path: Path
) -> None:
    handle = make_strong(net(), "oft", {"block_size": 4, "cayley": "neumann"}, POINT)
    file = handle.export(tmp_path / "out", format="peft") / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | option))
    with pytest.raises(GraftworkError, match=says):
        load_graft(net(), tmp_path / "out")
