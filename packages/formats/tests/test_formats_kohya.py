"""Files for A1111, ComfyUI and diffusers: the pipeline's own loader decides.

Compared are outputs of the UNet and of the text encoder, not pictures.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_kohya
from lycoris import LycorisNetwork, create_lycoris_from_weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graftwork.backbones.diffusion.tiny import folder
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, grafts, load_graft
from graftwork.nn.exporting import export

Strong = Callable[..., Graft]
UNET = ("unet.down_blocks.*.attn?.to_*", "unet.mid_block.*.attn2.to_[qkv]")
CONVOLUTIONS = ("unet.*.resnets.0.conv1", "unet.conv_in", "unet.*.conv_shortcut")
# diffusers 0.42 knows the attention of a text encoder by its `out_proj`: without that layer in
# the file it drops q, k and v with a warning.
TEXT = ("text_encoder.*.[qv]_proj", "text_encoder.*.out_proj", "text_encoder.*.fc1")
EXACT = {"atol": 2e-5, "rtol": 1e-4}


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(folder(), safety_checker=None).to(torch.float32)


class Parts(nn.Module):
    """The two parts of a pipeline, as graftwork names them."""

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        super().__init__()
        self.unet = pipeline.unet
        self.text_encoder = pipeline.text_encoder

    @torch.no_grad()
    def forward(self) -> Tensor:
        """The noise that the UNet sees under a prompt."""
        ids = torch.arange(1, 9)[None]
        words = self.text_encoder(ids)[0]
        noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        return self.unet(noisy, torch.tensor([300]), encoder_hidden_states=words).sample


@pytest.fixture
def parts(pipeline: StableDiffusionPipeline) -> Any:
    """The pipeline's parts; every graft is taken off at the end."""
    made = Parts(pipeline)
    yield made
    for handle in grafts(made).values():
        handle.detach()
    pipeline.unload_lora_weights()


CASES: dict[str, tuple[Any, Sequence[str]]] = {
    "alpha below the rank": ({"rank": 4, "alpha": 2.0}, UNET),
    "alpha above the rank": ({"rank": 2, "alpha": 7.0}, UNET),
    "rank-stabilised": ({"rank": 4, "alpha": 3.0, "rank_stabilized": True}, UNET),
    "convolutions": ({"rank": 2, "alpha": 1.0}, CONVOLUTIONS),
    "text encoder": ({"rank": 4, "alpha": 8.0}, TEXT),
    "all": ({"rank": 4, "alpha": 2.0}, (*UNET, *CONVOLUTIONS, *TEXT)),
}


@pytest.mark.parametrize(("settings", "sites"), CASES.values(), ids=CASES)
def test_diffusers_loads_ours_and_so_do_we(
    settings: Any,
    sites: Any,
    parts: Parts,
    pipeline: StableDiffusionPipeline,
    make_strong: Strong,
    tmp_path: Path,
) -> None:
    before = parts()
    handle = make_strong(parts, "lora", settings, sites)
    handle.weight = 0.5
    ours = parts()
    assert (ours - before).abs().max() > 0.01, "the graft must show"
    handle.export(tmp_path, format="kohya")
    handle.detach()
    pipeline.load_lora_weights(str(tmp_path), weight_name="lora.safetensors")
    torch.testing.assert_close(parts(), ours, **EXACT)
    pipeline.unload_lora_weights()
    load_graft(parts, tmp_path / "lora.safetensors")
    torch.testing.assert_close(parts(), ours, **EXACT)


def peft_names(handle: Graft) -> dict[str, Tensor]:
    """A graft in the names that diffusers' converter takes."""
    tensors = {}
    for site, adapter in handle.sites.items():
        kernel = adapter.site.frozen().shape[2:]
        tensors[f"{site}.lora_A.weight"] = adapter.down.detach().view(
            -1, *adapter.site.frozen().shape[1:]
        )
        tensors[f"{site}.lora_B.weight"] = adapter.up.detach().view(
            *adapter.up.shape, *(1 for _ in kernel)
        )
        if hasattr(adapter, "magnitude"):
            tensors[f"{site}.lora_magnitude_vector.weight"] = adapter.magnitude.detach()
    return {key: tensor.contiguous() for key, tensor in tensors.items()}


def test_the_converter_of_diffusers_loses_alpha_and_ours_does_not(
    parts: Parts, make_strong: Strong, tmp_path: Path
) -> None:
    """It always writes alpha = rank (methods, 4.9). With the true one put in, its file is ours."""
    handle = make_strong(parts, "lora", {"rank": 4, "alpha": 2.0}, (*UNET, *CONVOLUTIONS, *TEXT))
    ours = parts()
    written = load_file(handle.export(tmp_path, format="kohya"))
    theirs = convert_state_dict_to_kohya(peft_names(handle))
    handle.detach()
    alphas = {float(theirs[key]) for key in theirs if key.endswith(".alpha")}
    assert alphas == {4.0}, "their defect is gone: use their converter"
    assert {float(written[key]) for key in written if key.endswith(".alpha")} == {2.0}

    save_file(theirs, tmp_path / "theirs.safetensors")
    wrong = load_graft(parts, tmp_path / "theirs.safetensors")
    assert (parts() - ours).abs().max() > 0.01
    wrong.detach()
    mended = {key: torch.tensor(2.0) for key in theirs if key.endswith(".alpha")}
    save_file({**theirs, **mended}, tmp_path / "theirs.safetensors")
    load_graft(parts, tmp_path / "theirs.safetensors")
    torch.testing.assert_close(parts(), ours, **EXACT)


def test_the_converter_of_diffusers_misnames_the_length_of_dora_and_ours_does_not(
    parts: Parts, make_strong: Strong, tmp_path: Path
) -> None:
    """It leaves the UNet's under PEFT's name with dots, which no loader knows (methods, 4.9)."""
    handle = make_strong(parts, "dora", {"rank": 2}, UNET)
    theirs = convert_state_dict_to_kohya(peft_names(handle))
    assert not any(key.endswith(".dora_scale") for key in theirs), "their defect is gone"
    save_file(theirs, tmp_path / "theirs.safetensors")
    written = load_file(handle.export(tmp_path, format="kohya"))
    assert sum(key.endswith(".dora_scale") for key in written) == len(handle.sites)
    handle.detach()
    with pytest.raises(GraftworkError, match=r"lora_magnitude_vector.* is of a kind"):
        load_graft(parts, tmp_path / "theirs.safetensors")


def comfy_weight(weight: Tensor, file: dict[str, Tensor], name: str) -> Tensor:
    """W' as ComfyUI computes it from a file with `dora_scale` at strength 1.

    comfy/weight_adapter: the change is (up down) alpha / rank; the sum is divided by the norm of
    each of its rows and multiplied by dora_scale, of shape (out, 1[, 1, 1]).
    """
    up, down = file[f"{name}.lora_up.weight"], file[f"{name}.lora_down.weight"]
    scale = file[f"{name}.alpha"].item() / down.shape[0]
    change = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape) * scale
    changed = weight + change
    norm = changed.reshape(len(changed), -1).norm(dim=1, keepdim=True)
    norm = norm.reshape(len(changed), *[1] * (changed.dim() - 1))
    return changed * (file[f"{name}.dora_scale"] / norm)


def test_dora_as_comfyui_and_lycoris_read_it(
    parts: Parts, make_strong: Strong, tmp_path: Path
) -> None:
    site = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    sites = [site, "unet.conv_in"]
    handle = make_strong(parts, "dora", {"rank": 2, "alpha": 3.0}, sites)
    ours, path = parts(), handle.export(tmp_path, format="kohya")
    file = load_file(path)
    for name in sites:
        layer = handle.sites[name].site.layer
        flat = name.replace("unet.", "lora_unet_").replace(".", "_")
        theirs = comfy_weight(layer._parameters["weight"], file, flat)
        torch.testing.assert_close(theirs, layer.weight, atol=1e-6, rtol=1e-5)
    handle.detach()
    load_graft(parts, path, name="again").detach()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LycorisNetwork, "LORA_PREFIX", "lora_unet")
        network, _ = create_lycoris_from_weights(1.0, str(path), parts.unet)
        network.apply_to()
        theirs = parts()
        network.restore()
    torch.testing.assert_close(theirs, ours, **EXACT)


def test_without_alpha_the_scale_is_one(model: Any, make_strong: Strong, tmp_path: Path) -> None:
    ours, again, x = model(), model(), torch.randn(2, 4, 6, 6)
    file = make_strong(ours, "lora", {"rank": 2}).export(tmp_path, format="kohya")
    tensors = {key: t for key, t in load_file(file).items() if not key.endswith(".alpha")}
    save_file(tensors, file)
    load_graft(again, file)
    torch.testing.assert_close(again(x), ours(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "spell",
    [
        lambda key: key.replace("lora_te_", "lora_te1_"),
        lambda key: key.replace("lora_te_text_model_", "lora_te_"),
    ],
    ids=["te1", "no text_model"],
)
def test_other_spellings_of_the_text_encoder(
    spell: Callable[[str], str], model: Any, make_strong: Strong, tmp_path: Path
) -> None:
    ours, again, x = model(), model(), torch.randn(2, 4, 6, 6)
    file = make_strong(ours, "lora", {"rank": 2}).export(tmp_path, format="kohya")
    save_file({spell(key): tensor for key, tensor in load_file(file).items()}, file)
    load_graft(again, file)
    torch.testing.assert_close(again(x), ours(x), atol=1e-6, rtol=1e-5)


def test_two_text_encoders_are_told_apart(model: Any, make_strong: Strong, tmp_path: Path) -> None:
    ours = model()
    ours.text_encoder_2 = model().text_encoder
    handle = make_strong(ours, "lora", {"rank": 2}, "text_encoder*")
    names = {key.split("_text")[0] for key in load_file(handle.export(tmp_path, format="kohya"))}
    assert names == {"lora_te1", "lora_te2"}


def test_different_ranks_and_alphas_keep_their_meaning(
    model: Any, make_strong: Strong, tmp_path: Path
) -> None:
    ours, again, x = model(), model(), torch.randn(2, 4, 6, 6)
    file = make_strong(ours, "lora", {"rank": 2, "alpha": 3.0}).export(tmp_path, format="kohya")
    tensors, name = load_file(file), "lora_unet_ff_0"
    tensors[f"{name}.lora_down.weight"] = tensors[f"{name}.lora_down.weight"][:1].contiguous()
    tensors[f"{name}.lora_up.weight"] = 2 * tensors[f"{name}.lora_up.weight"][:, :1].contiguous()
    tensors[f"{name}.alpha"] = torch.tensor(5.0)
    save_file(tensors, file)
    with torch.no_grad():
        layer = ours.unet.ff[0]
        grafted = next(iter(layer.grafts.values()))["weight"]
        # scale 5 / 1 against 3 / 2, and twice B
        grafted.up.mul_(torch.tensor([2 * 5 / 1.5, 0.0]))
    load_graft(again, file)
    torch.testing.assert_close(again(x), ours(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["sine-lora", "tlora", "oft", "loha"])
def test_differences_are_exact(
    method: str, model: Any, make_strong: Strong, tmp_path: Path
) -> None:
    ours, again, x = model(), model(), torch.randn(2, 4, 6, 6)
    handle = make_strong(ours, method, {} if method == "oft" else {"rank": 2})
    done = export(handle, tmp_path, format="kohya", settings={"convert": "diff"})
    assert done.error is None
    load_graft(again, done.path)
    torch.testing.assert_close(again(x), ours(x), atol=1e-6, rtol=1e-5)


def test_svd_is_the_best_of_its_rank_and_tells_its_error(
    model: Any, make_strong: Strong, tmp_path: Path
) -> None:
    ours = model()
    handle = make_strong(ours, "sine-lora", {"rank": 3}, ["unet.ff.*", "text_encoder.*"])
    sites = {name: adapter.site for name, adapter in handle.sites.items()}
    wanted = {name: (s.layer.weight - s.frozen()).detach() for name, s in sites.items()}
    done = export(handle, tmp_path, format="kohya", settings={"convert": "svd", "rank": 2})
    file, lost, total = load_file(done.path), 0.0, 0.0
    for site, change in wanted.items():
        values = torch.linalg.svdvals(change.double())
        name = site.replace("unet.", "lora_unet_").replace("text_encoder.", "lora_te_text_model.")
        name = name.replace(".", "_")
        ours_cut = file[f"{name}.lora_up.weight"] @ file[f"{name}.lora_down.weight"]
        assert file[f"{name}.alpha"] == 2.0
        squares = float((change - ours_cut).double().square().sum())
        assert squares == pytest.approx(float(values[2:].square().sum()), rel=1e-4)
        lost, total = lost + squares, total + float(values.square().sum())
    assert done.error == pytest.approx(math.sqrt(lost / total), rel=1e-4)
    assert 0.05 < done.error < 0.95


def test_a_rank_that_loses_nothing_has_no_error_to_tell(
    model: Any, make_strong: Strong, tmp_path: Path
) -> None:
    handle = make_strong(model(), "loha", {"rank": 1}, "unet.ff.0")
    done = export(handle, tmp_path, format="kohya", settings={"convert": "svd", "rank": 1})
    assert done.error is not None
    assert done.error < 1e-3


UNFIT: dict[str, tuple[str, Any, Any, str]] = {
    "sine-lora": ("sine-lora", "unet.ff.0", {}, "sine-lora is none of them; set convert = 'svd'"),
    "loha": ("loha", "unet.ff.0", {}, "holds lora and dora, and loha is none of them"),
    "no rank": ("loha", "unet.ff.0", {"convert": "svd"}, "'svd' needs a rank"),
    "unknown conversion": ("loha", "unet.ff.0", {"convert": "lora"}, "convert"),
}


@pytest.mark.parametrize(("method", "sites", "more", "says"), UNFIT.values(), ids=UNFIT)
def test_what_it_cannot_hold_is_refused(
    method: str, sites: Any, more: Any, says: str, model: Any, tmp_path: Path
) -> None:
    handle = graft(model(), method, {"rank": 2}, sites=sites)
    with pytest.raises(GraftworkError, match=says) as error:
        handle.export(tmp_path / "out", format="kohya", **more)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_sites_without_a_name_are_refused(tmp_path: Path) -> None:
    plain = graft(nn.Sequential(nn.Linear(4, 4)), "lora", {"rank": 2}, sites="*")
    with pytest.raises(GraftworkError, match="'0' is in neither the UNet nor a text encoder"):
        plain.export(tmp_path / "out", format="kohya")
    model = nn.ModuleDict({"unet": nn.ModuleDict({"words": nn.Embedding(4, 4)})})
    embedding = graft(model, "lora", {"rank": 2}, sites="*")
    with pytest.raises(GraftworkError, match=r"no form for 'unet.words' \(embedding\)"):
        embedding.export(tmp_path / "out", format="kohya")


def test_private_keys_are_refused_by_name(model: Any, make_strong: Strong, tmp_path: Path) -> None:
    """Nothing of a Sine-LoRA or any stranger's method is taken for a LoRA."""
    file = make_strong(model(), "lora", {"rank": 2}).export(tmp_path, format="kohya")
    save_file(load_file(file) | {"lora_unet_ff_0.omega": torch.tensor(200.0)}, file)
    with pytest.raises(GraftworkError, match=r"'lora_unet_ff_0\.omega' is of a kind"):
        load_graft(model(), file)
    make_strong(model(), "sine-lora", {"rank": 2}).save(tmp_path / "own")
    with pytest.raises(GraftworkError, match=r"adapter\.safetensors: is half of an adapter"):
        load_graft(model(), tmp_path / "own" / "adapter.safetensors")


def test_the_file_says_what_made_it(model: Any, make_strong: Strong, tmp_path: Path) -> None:
    """A1111 and others look for the network's kind in the metadata."""
    file = make_strong(model(), "lora", {"rank": 2}).export(tmp_path, format="kohya")
    with safe_open(file, "pt") as content:
        assert content.metadata()["ss_network_module"] == "networks.lora"
