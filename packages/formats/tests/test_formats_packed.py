"""q, k and v in one weight: sites apart here, one layer in the files of PEFT, kohya and LyCORIS."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from lycoris import create_lycoris, create_lycoris_from_weights
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, load_graft

Strong = Callable[..., Graft]
EXACT = {"atol": 1e-6, "rtol": 1e-5}
WRAPPER = {"format": "lycoris", "names": "wrapper"}

logging.getLogger("LyCORIS").setLevel(logging.ERROR)


class Fused(nn.Module):
    """timm's way: one linear layer for all three."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj(nn.functional.scaled_dot_product_attention(q, k, v))


class Torch(nn.Module):
    """torch's way: a bare parameter, and a last layer that nobody calls."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attn(x, x, x, need_weights=False)[0]


def tokens() -> Tensor:
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))


CASES: dict[str, tuple[type[nn.Module], str, Any, set[str]]] = {
    "lora": (Fused, "lora", "*", {"qkv.q", "qkv.k", "qkv.v", "proj"}),
    "lora of two parts": (Fused, "lora", ["qkv.[qv]"], {"qkv.q", "qkv.v"}),
    "dora": (Fused, "dora", "qkv.*", {"qkv.q", "qkv.k", "qkv.v"}),
    "dora of one part": (Fused, "dora", "qkv.k", {"qkv.q", "qkv.k", "qkv.v"}),
    "torch": (Torch, "lora", "attn.in_proj.*", {f"attn.in_proj.{part}" for part in "qkv"}),
    "torch, one part": (Torch, "lora", "attn.in_proj.v", {"attn.in_proj.v"}),
}


@pytest.mark.parametrize(("make", "method", "sites", "read"), CASES.values(), ids=CASES)
def test_peft_loads_ours_and_so_do_we(
    make: Any, method: str, sites: Any, read: set[str], make_strong: Strong, tmp_path: Path
) -> None:
    ours, x = make(), tokens()
    handle = make_strong(ours, method, {"rank": 2, "alpha": 3.0}, sites)
    assert (ours(x) - make()(x)).abs().max() > 0.01, "the graft must show"
    handle.export(tmp_path / "out", format="peft")
    theirs = PeftModel.from_pretrained(make(), str(tmp_path / "out"))
    torch.testing.assert_close(theirs(x), ours(x), **EXACT)
    torch.testing.assert_close(theirs.merge_and_unload()(x), ours(x), **EXACT)
    again = make()
    loaded = load_graft(again, tmp_path / "out")
    assert loaded.sites.keys() == read
    assert loaded.settings.rank == 2 or method == "dora"
    torch.testing.assert_close(again(x), ours(x), **EXACT)


@pytest.mark.parametrize(
    ("make", "config"),
    [
        (Fused, peft.LoraConfig(r=3, lora_alpha=5, target_modules=["qkv", "proj"])),
        (Fused, peft.LoraConfig(r=3, lora_alpha=5, target_modules=["qkv"], use_dora=True)),
        (Torch, peft.LoraConfig(r=3, lora_alpha=5, target_modules=["attn"])),
        (
            Torch,
            peft.LoraConfig(target_modules=["attn"], rank_pattern={"attn": 2}, lora_alpha=3),
        ),
    ],
    ids=["fused", "fused, dora", "torch", "torch, a rank of its own"],
)
def test_we_load_what_peft_saves(make: Any, config: Any, tmp_path: Path) -> None:
    theirs, x = get_peft_model(make(), config), tokens()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.requires_grad:
                noise = 0.3 * torch.randn_like(parameter)
                parameter.copy_(parameter * (1 + noise) if "magnitude" in name else noise)
    expected = theirs.eval()(x).detach()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = make()
    handle = load_graft(ours, tmp_path / "theirs")
    assert (expected - make()(x)).abs().max() > 0.01
    torch.testing.assert_close(ours(x), expected, **EXACT)
    if make is Fused:  # A is shared between the parts, and stays so
        handle.export(tmp_path / "back", format="peft")
        shape = load_file(tmp_path / "back" / "adapter_model.safetensors")
        assert shape["base_model.model.qkv.lora_A.weight"].shape == (3, 8)
        again = PeftModel.from_pretrained(make(), str(tmp_path / "back"))
        torch.testing.assert_close(again(x), expected, **EXACT)
    loaded = load_graft(make(), handle.save(tmp_path / "own"))
    torch.testing.assert_close(loaded.model(x), expected, **EXACT)


def test_peft_adds_the_change_of_the_last_layer_twice() -> None:
    """Why that layer is refused on writing, and doubled on reading. PEFT's defect, not ours."""
    plain, x = Torch(), tokens()
    theirs: Any = get_peft_model(Torch(), peft.LoraConfig(r=1, target_modules=["attn"]))
    last = theirs.base_model.model.attn.base_layer.out_proj
    nn.init.normal_(last.lora_B["default"].weight)
    with torch.no_grad():
        plain.attn.out_proj.weight.add_(2 * last.get_delta_weight("default"))
    torch.testing.assert_close(theirs(x), plain(x), msg="PEFT was mended: see peft_lora._twice")


def test_the_last_layer_of_torch_s_attention_is_refused(
    make_strong: Strong, tmp_path: Path
) -> None:
    handle = make_strong(Torch(), "lora", {"rank": 2}, "*")
    with pytest.raises(
        GraftworkError, match=r"adds the change of 'attn\.out_proj', the last layer"
    ):
        handle.export(tmp_path / "out", format="peft")
    dora = make_strong(Torch(), "dora", {"rank": 2}, "attn.in_proj.*")
    with pytest.raises(GraftworkError, match="has no dora for torch's attention"):
        dora.export(tmp_path / "out", format="peft")
    loha = make_strong(Fused(), "loha", {"rank": 2}, "qkv.*")
    with pytest.raises(GraftworkError, match=r"no form for 'qkv\.q', part 'q' of a packed"):
        loha.export(tmp_path / "out", format="peft")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "more"),
    [("lora", {}), ("dora", {}), ("full", {}), ("tlora", {"convert": "diff"})],
    ids=["lora", "dora", "full", "diff"],
)
def test_lycoris_loads_ours_and_so_do_we(
    method: str, more: Any, make_strong: Strong, tmp_path: Path
) -> None:
    settings = {} if method == "full" else {"rank": 2}
    ours, theirs, again, x = Fused(), Fused(), Fused(), tokens()
    handle = make_strong(ours, method, settings, ["qkv.[qv]", "proj"])
    file = handle.export(tmp_path / "out", **WRAPPER, **more)
    create_lycoris_from_weights(1.0, str(file), theirs)[0].apply_to()
    torch.testing.assert_close(theirs(x), ours(x), **EXACT)
    load_graft(again, file)
    torch.testing.assert_close(again(x), ours(x), **EXACT)


def test_we_load_what_lycoris_saves(tmp_path: Path) -> None:
    theirs, ours, x = Fused(), Fused(), tokens()
    network = create_lycoris(theirs, 1.0, linear_dim=3, linear_alpha=5, algo="lora")
    network.apply_to()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    network.save_weights(str(tmp_path / "theirs.safetensors"), torch.float32, {})
    load_graft(ours, tmp_path / "theirs.safetensors")
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


def test_kohya_s_files_hold_a_fused_layer_and_no_bare_parameter(
    make_strong: Strong, tmp_path: Path
) -> None:
    model = nn.ModuleDict({"unet": Fused()})
    handle = make_strong(model, "lora", {"rank": 2}, "*")
    keys = load_file(handle.export(tmp_path, format="kohya")).keys()
    assert {key.partition(".")[0] for key in keys} == {"lora_unet_qkv", "lora_unet_proj"}
    again, x = nn.ModuleDict({"unet": Fused()}), tokens()
    load_graft(again, tmp_path)
    torch.testing.assert_close(again["unet"](x), model["unet"](x), **EXACT)
    for site in ("unet.attn.in_proj.*", "unet.attn.out_proj"):
        bare = make_strong(nn.ModuleDict({"unet": Torch()}), "lora", {"rank": 2}, site)
        with pytest.raises(GraftworkError, match="inside torch's attention"):
            bare.export(tmp_path / "out", format="kohya")


def test_parts_of_other_methods_cannot_be_read(tmp_path: Path) -> None:
    network = create_lycoris(Fused(), 1.0, linear_dim=2, linear_alpha=2, algo="loha")
    network.apply_to()
    network.save_weights(str(tmp_path / "theirs.safetensors"), torch.float32, {})
    with pytest.raises(GraftworkError, match="'qkv' is a packed projection here"):
        load_graft(Fused(), tmp_path / "theirs.safetensors")


def test_a_rank_above_the_layer_s_is_read_as_it_is(tmp_path: Path) -> None:
    """PEFT and kohya write such files; a fresh graft is refused."""
    config = peft.LoraConfig(r=12, lora_alpha=5, target_modules=["qkv", "proj"])
    theirs, ours, again, x = get_peft_model(Fused(), config), Fused(), Fused(), tokens()
    for name, parameter in theirs.named_parameters():
        if "lora" in name:
            nn.init.normal_(parameter, std=0.2)
    theirs.save_pretrained(tmp_path / "theirs")
    handle = load_graft(ours, tmp_path / "theirs")
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    assert handle.settings.rank == 12
    handle.export(tmp_path / "back", **WRAPPER)
    load_graft(again, tmp_path / "back")
    torch.testing.assert_close(again(x), ours(x), **EXACT)
    loaded = load_graft(Fused(), handle.save(tmp_path / "own"))
    torch.testing.assert_close(loaded.model(x), ours(x), **EXACT)
    with pytest.raises(GraftworkError, match=r"adapter\.rank: 12 is above"):
        graft(Fused(), "lora", handle.settings, sites="*")


@pytest.mark.parametrize("algo", ["loha", "lokr"])
def test_so_are_ranks_of_loha_and_lokr(algo: str, tmp_path: Path) -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 40))

    config = {"loha": peft.LoHaConfig, "lokr": peft.LoKrConfig}[algo]
    theirs: Any = get_peft_model(make(), config(r=9, alpha=5, target_modules=["0", "1"]))
    for parameter in theirs.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)
    theirs.eval().save_pretrained(tmp_path)
    ours, x = make(), torch.randn(3, 4)
    load_graft(ours, tmp_path)
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


@pytest.mark.parametrize("name", ["adapter.safetensors", "adapter.json", "own"])
def test_what_would_be_taken_for_graftwork_s_own_is_refused(
    name: str, make_strong: Strong, tmp_path: Path
) -> None:
    handle = make_strong(Fused(), "lora", {"rank": 2}, "proj")
    own = handle.save(tmp_path / "own")
    before = sorted(path.name for path in own.iterdir())
    with pytest.raises(GraftworkError, match=r"own files.*; choose another") as error:
        handle.export(tmp_path / name, **WRAPPER)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in own.iterdir()) == before
