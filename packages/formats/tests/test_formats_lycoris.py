"""LyCORIS's own loader and LyCORIS's own files decide whether ours are right."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lycoris import LycorisNetwork, create_lycoris, create_lycoris_from_weights
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, load_graft

Strong = Callable[..., Graft]
EXACT = {"atol": 1e-6, "rtol": 1e-5}
WRAPPER = {"format": "lycoris", "names": "wrapper"}

logging.getLogger("LyCORIS").setLevel(logging.ERROR)

CASES = {
    "lora": ("lora", {"rank": 3, "alpha": 5.0}),
    "dora": ("dora", {"rank": 3, "alpha": 5.0}),
    "loha": ("loha", {"rank": 2, "alpha": 5.0}),
    "lokr": ("lokr", {"rank": 1, "alpha": 3.0}),
    "lokr, whole": ("lokr", {"rank": 4, "alpha": 3.0, "factor": 2}),
    "lokr, both products": ("lokr", {"rank": 1, "alpha": 3.0, "decompose_both": True}),
    "oft": ("oft", {"block_size": 2, "side": "output"}),
    "oft, constrained": ("oft", {"block_size": 2, "side": "output", "constraint": 0.01}),
    "full": ("full", {}),
}


@pytest.mark.parametrize(("method", "settings"), CASES.values(), ids=CASES)
def test_lycoris_loads_ours_and_so_do_we(
    method: str, settings: Any, net: Any, make_strong: Strong, x: Tensor, tmp_path: Path
) -> None:
    base, ours = net(), net()
    handle = make_strong(ours, method, settings)
    assert (ours(x) - base(x)).abs().max() > 0.01, "the graft must show"
    file = handle.export(tmp_path / "out", **WRAPPER)

    for act in ("apply_to", "merge_to"):
        theirs = net()
        network, _ = create_lycoris_from_weights(1.0, str(file), theirs)
        getattr(network, act)()
        torch.testing.assert_close(theirs(x), ours(x), **EXACT)

    again = net()
    assert load_graft(again, tmp_path / "out").method == method
    torch.testing.assert_close(again(x), ours(x), **EXACT)


THEIRS = {
    "locon": {"algo": "lora", "linear_dim": 3, "linear_alpha": 5},
    "locon, Tucker": {"algo": "lora", "linear_dim": 3, "linear_alpha": 5, "use_tucker": True},
    "dora": {"algo": "lora", "linear_dim": 3, "linear_alpha": 5, "dora_wd": True},
    "loha": {"algo": "loha", "linear_dim": 2, "linear_alpha": 5},
    "loha, Tucker": {"algo": "loha", "linear_dim": 2, "linear_alpha": 5, "use_tucker": True},
    "lokr": {"algo": "lokr", "linear_dim": 1, "linear_alpha": 3},
    "lokr, Tucker": {"algo": "lokr", "linear_dim": 1, "linear_alpha": 3, "use_tucker": True},
    "lokr, whole": {"algo": "lokr", "linear_dim": 100, "linear_alpha": 3, "factor": 2},
    "lokr, full matrix": {"algo": "lokr", "linear_dim": 1, "full_matrix": True},
    "lokr, both products": {
        "algo": "lokr",
        "linear_dim": 1,
        "linear_alpha": 3,
        "decompose_both": True,
    },
    "diag-oft": {"algo": "diag-oft", "linear_dim": 2},
    "diag-oft, constrained": {"algo": "diag-oft", "linear_dim": 2, "constraint": 0.01},
    "full": {"algo": "full"},
}


def saved_by_lycoris(model: nn.Module, file: Path, *, std: float = 0.3, **settings: Any) -> Any:
    """A strong network on `model`, saved; the network."""
    network = create_lycoris(model, 1.0, **settings)
    network.apply_to()
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = std * torch.randn_like(parameter)
            if "bias" in name:
                continue
            if "dora_scale" in name or settings["algo"] == "full":
                parameter.add_(noise)
            else:
                parameter.copy_(noise)
    network.save_weights(str(file), torch.float32, {})
    return network


@pytest.mark.parametrize("settings", THEIRS.values(), ids=THEIRS)
def test_we_load_what_lycoris_saves(settings: Any, net: Any, x: Tensor, tmp_path: Path) -> None:
    theirs, base, ours = net(), net(), net()
    saved_by_lycoris(theirs, tmp_path / "theirs.safetensors", **settings)
    load_graft(ours, tmp_path / "theirs.safetensors")
    assert (theirs(x) - base(x)).abs().max() > 0.01
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


@pytest.mark.parametrize("algo", ["loha", "lokr"])
def test_lycoris_merges_with_the_scale_twice_and_we_do_not(
    algo: str, net: Any, x: Tensor, tmp_path: Path
) -> None:
    """LyCORIS 4.1.3, `get_merged_weight` with alpha other than the rank (methods, 4.9).

    The file it wrote is read as its own forward reads it, and what we write is right both ways.
    """
    file, dim = tmp_path / "theirs.safetensors", {"loha": 2, "lokr": 1}[algo]
    theirs, merged, ours = net(), net(), net()
    saved_by_lycoris(theirs, file, algo=algo, linear_dim=dim, linear_alpha=3)
    create_lycoris_from_weights(1.0, str(file), merged)[0].merge_to()
    assert (merged(x) - theirs(x)).abs().max() > 1e-3, "their defect is gone: drop this test"

    handle = load_graft(ours, file)
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    again = net()
    written = handle.export(tmp_path / "ours.safetensors", **WRAPPER)
    create_lycoris_from_weights(1.0, str(written), again)[0].merge_to()
    torch.testing.assert_close(again(x), theirs(x), **EXACT)


def test_a_wrapper_around_a_part(
    model: Any, net: Any, make_strong: Strong, x: Tensor, tmp_path: Path
) -> None:
    ours, theirs, again = model(), net(), model()
    handle = make_strong(ours, "loha", {"rank": 2})
    file = handle.export(tmp_path, **WRAPPER, part="unet")
    create_lycoris_from_weights(1.0, str(file), theirs)[0].apply_to()
    torch.testing.assert_close(theirs(x), ours.unet(x), **EXACT)
    load_graft(again, file)
    torch.testing.assert_close(again.unet(x), ours.unet(x), **EXACT)


def test_kohya_names_load_in_a_wrapper_of_that_prefix(
    model: Any, net: Any, make_strong: Strong, x: Tensor, tmp_path: Path
) -> None:
    ours, theirs = model(), net()
    handle = make_strong(ours, "lokr", {"rank": 1, "alpha": 3.0})
    file = handle.export(tmp_path, format="lycoris")
    assert all(key.startswith(("lora_unet_", "lora_te_text_model_")) for key in load_file(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LycorisNetwork, "LORA_PREFIX", "lora_unet")
        create_lycoris_from_weights(1.0, str(file), theirs)[0].apply_to()
    torch.testing.assert_close(theirs(x), ours.unet(x), **EXACT)


@pytest.mark.parametrize("method", ["sine-lora", "tlora", "oft", "lokr"])
def test_differences_are_exact_for_whatever_can_be_merged(
    method: str, net: Any, make_strong: Strong, x: Tensor, tmp_path: Path
) -> None:
    ours, theirs, again = net(), net(), net()
    handle = make_strong(ours, method, {} if method == "oft" else {"rank": 2})
    handle.weight = 0.7
    file = handle.export(tmp_path, **WRAPPER, convert="diff")
    assert all(key.endswith(".diff") for key in load_file(file))
    create_lycoris_from_weights(1.0, str(file), theirs)[0].apply_to()
    torch.testing.assert_close(theirs(x), ours(x), **EXACT)
    assert load_graft(again, file).method == "full"
    torch.testing.assert_close(again(x), ours(x), **EXACT)


def test_half_precision(net: Any, make_strong: Strong, x: Tensor, tmp_path: Path) -> None:
    ours, again = net(), net()
    file = make_strong(ours, "loha", {"rank": 2}).export(tmp_path, **WRAPPER, dtype="float16")
    dtypes = {key.partition(".")[2]: tensor.dtype for key, tensor in load_file(file).items()}
    assert dtypes.pop("alpha") == torch.float32
    assert set(dtypes.values()) == {torch.float16}
    load_graft(again, file)
    torch.testing.assert_close(again(x), ours(x), atol=1e-3, rtol=0)


UNFIT = {
    "oft of the input": ("oft", {"block_size": 2}, 1.0, "oft of the output side.*use peft"),
    "oft at half strength": ("oft", {"block_size": 2, "side": "output"}, 0.5, "weight 0.5 is none"),
    "large blocks": ("oft", {"block_size": 8, "side": "output"}, 1.0, "loads blocks up to"),
    "sine-lora": ("sine-lora", {"rank": 2}, 1.0, "convert = 'diff' in 'kohya' or 'lycoris'"),
    "dora at half strength": ("dora", {"rank": 2}, 0.5, "set the graft's weight to 1"),
}


@pytest.mark.parametrize(("method", "settings", "weight", "says"), UNFIT.values(), ids=UNFIT)
def test_what_it_cannot_hold_is_refused(
    method: str, settings: Any, weight: float, says: str, net: Any, tmp_path: Path
) -> None:
    handle = graft(net(), method, settings, sites="ff.*", weight=weight)
    with pytest.raises(GraftworkError, match=says) as error:
        handle.export(tmp_path / "out", **WRAPPER)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


BROKEN: dict[str, tuple[dict[str, Tensor], str]] = {
    "private keys": ({"lycoris_ff_0.omega": torch.ones(1)}, "'lycoris_ff_0.omega' is of a kind"),
    "another method": ({"lycoris_ff_0.a1.weight": torch.ones(1)}, "a kind that graftwork does not"),
    "norms": ({"lycoris_norm.w_norm": torch.ones(4)}, "'lycoris_norm.w_norm' is of a kind"),
    "two methods": (
        {"lycoris_ff_0.diff": torch.zeros(16, 12)},
        r"holds full \('lycoris_ff_0'\) and loha",
    ),
    "a length for LoHa": ({"lycoris_ff_1.dora_scale": torch.ones(8, 1)}, "'lycoris_ff_1' mixes"),
    "no such layer": ({"lycoris_x.hada_w1_a": torch.ones(2, 2)}, "'lycoris_x' is no layer of"),
    "a part of it": ({"lycoris_ff_0.hada_w1_a": torch.ones(16, 2)}, "'hada_w1_b' is missing"),
}


@pytest.mark.parametrize(("more", "says"), BROKEN.values(), ids=BROKEN)
def test_a_bad_file_is_one_clear_error(
    more: Any, says: str, net: Any, make_strong: Strong, tmp_path: Path
) -> None:
    file = make_strong(net(), "loha", {"rank": 2}, "ff.1").export(tmp_path, **WRAPPER)
    save_file(load_file(file) | more, file)
    other = net()
    keys = other.state_dict().keys()
    with pytest.raises(GraftworkError, match=says) as error:
        load_graft(other, file)
    assert "\n" not in str(error.value)
    assert other.state_dict().keys() == keys


def test_blocks_of_sizes_that_no_setting_gives(net: Any, tmp_path: Path) -> None:
    file = tmp_path / "theirs.safetensors"
    saved_by_lycoris(net(), file, algo="diag-oft", linear_dim=4)
    with pytest.raises(GraftworkError, match="gives blocks of 2 and 3 and 4 at these layers"):
        load_graft(net(), file)


def test_a_layer_named_twice(model: Any, make_strong: Strong, tmp_path: Path) -> None:
    file = make_strong(model(), "loha", {"rank": 2}, "text*").export(tmp_path, format="lycoris")
    own = load_file(file)
    twice = {key.replace("lora_te_", "lora_te1_"): tensor.clone() for key, tensor in own.items()}
    save_file(own | twice, file)
    with pytest.raises(GraftworkError, match="a second time; split the file"):
        load_graft(model(), file)


def test_a_change_of_the_bias_is_not_dropped(net: Any, make_strong: Strong, tmp_path: Path) -> None:
    file = make_strong(net(), "full", {}, "ff.0").export(tmp_path, **WRAPPER)
    save_file(load_file(file) | {"lycoris_ff_0.diff_b": torch.ones(16)}, file)
    with pytest.raises(GraftworkError, match="changes the layer's bias"):
        load_graft(net(), file)


def test_dora_by_input_columns_is_told_by_its_shape(net: Any, tmp_path: Path) -> None:
    """Square layers too: (1, in) is for columns, (out, 1) for rows."""
    square = nn.Sequential(nn.Linear(6, 6))
    file = tmp_path / "theirs.safetensors"
    settings = {"algo": "lora", "linear_dim": 2, "linear_alpha": 2, "dora_wd": True}
    saved_by_lycoris(square, file, **settings, wd_on_output=False)
    with pytest.raises(GraftworkError, match="a length for each input column"):
        load_graft(nn.Sequential(nn.Linear(6, 6)), file)
