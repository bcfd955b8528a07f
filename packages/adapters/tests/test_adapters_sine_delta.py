"""SineLoRA-Delta: codebooks near the optimum, packing, and a file that reads back exactly."""

import itertools
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from graftwork.adapters.codebook import quantized
from graftwork.adapters.sine_delta import quantization, quantize
from graftwork.adapters.sine_delta_format import SineDeltaConfig, SineDeltaFormat, packed, unpacked
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, load_graft


def error(values, book):
    return float((values.double() - book.tensor().double()).square().sum())


@pytest.mark.parametrize("bits", [1, 2])
def test_codebook_is_the_best_of_all_partitions(bits):
    torch.manual_seed(0)
    for values in (torch.randn(12), torch.rand(12) + 100, torch.randn(12) ** 3):
        ordered = values.double().sort().values
        cuts = itertools.combinations(range(1, 12), 2**bits - 1)
        pieces = (ordered.tensor_split(cut) for cut in cuts)
        best = min(sum(float(p.var(correction=0)) * len(p) for p in piece) for piece in pieces)
        assert error(values, quantized(values, bits)) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_codebook_is_as_good_as_scikit_learn_s(bits):
    cluster = pytest.importorskip("sklearn.cluster", reason="compares with scikit-learn")
    torch.manual_seed(0)
    for values in (torch.randn(2000), torch.rand(2000), torch.randn(2000) ** 3):
        theirs = cluster.KMeans(2**bits, n_init=5, random_state=0).fit(values[:, None].double())
        assert error(values, quantized(values, bits)) <= 1.01 * theirs.inertia_


def test_few_values_are_kept_exactly():
    values = torch.tensor([[0.5, -1.25], [3.0, 0.5]])
    book = quantized(values, 2)
    assert torch.equal(book.tensor(), values)
    assert torch.equal(quantized(torch.zeros(3, 2), 1).values, torch.zeros(1))


@pytest.mark.parametrize("bits", range(1, 9))
def test_packing(bits):
    codes = torch.randint(2**bits, (7, 5))
    data = packed(codes, bits)
    assert len(data) == -(-35 * bits // 8)
    assert torch.equal(unpacked(data, bits, [7, 5]), codes)


class Model(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Linear(8, 12)

    def forward(self, x):
        return self.second(self.first(x).mean((2, 3)))


def trained(**settings):
    model = Model()
    handle = graft(model, "sine-lora", {"rank": 3, "omega": 50.0, **settings}, sites="*")
    torch.manual_seed(1)
    with torch.no_grad():
        for adapter in handle.sites.values():
            adapter.up.normal_(std=0.05)
    return model, handle


def write(handle, path, bits=4):
    return SineDeltaFormat().write(handle, path, SineDeltaConfig(bits=bits))


def test_error_is_that_of_the_change_and_falls_with_bits():
    errors = []
    for bits in (1, 2, 3, 4, 6, 8):
        _, handle = trained()
        before = {name: change(adapter) for name, adapter in handle.sites.items()}
        report = quantize(handle, bits)
        lost = {name: (before[name] - change(a)).norm() for name, a in handle.sites.items()}
        for name, size in lost.items():
            assert report.errors[name] == pytest.approx(float(size / before[name].norm()), rel=1e-4)
        total = torch.stack(list(lost.values())).norm()
        whole = torch.stack([value.norm() for value in before.values()]).norm()
        assert report.error == pytest.approx(float(total / whole), rel=1e-4)
        for name, book in report.books.items():
            assert len(handle.state_dict()[name].unique()) == len(book.values) <= 2**bits
        errors.append(report.error)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.3
    assert errors[-1] < 0.02


def change(adapter):
    weight = adapter.site.weight()
    return (adapter.effective(weight.double()) - weight.double()).detach()


def test_measuring_changes_nothing():
    _, handle = trained()
    before = {name: tensor.clone() for name, tensor in handle.state_dict().items()}
    quantization(handle, 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in handle.state_dict().items())


def test_fresh_graft_loses_nothing():
    model = Model()
    handle = graft(model, "sine-lora", {"rank": 2}, sites="*")
    assert quantize(handle, 2).error == 0


@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("suffix", ["", "small.safetensors"])
def test_file_gives_what_quantize_leaves(tmp_path, bits, suffix):
    model, handle = trained(alpha=5.0, omega_by_site={"second": 30.0})
    handle.weight = 0.75
    written = write(handle, tmp_path / suffix, bits)
    report = quantize(handle, bits)
    assert written.error == report.error
    fresh = Model()
    loaded = load_graft(fresh, tmp_path / suffix, name="read")
    assert loaded.weight == 0.75
    assert loaded.settings == handle.settings
    for name, tensor in handle.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(fresh(x), model(x))
    again = write(loaded, tmp_path / "again.safetensors", bits)
    assert again.error == 0


def test_file_is_as_small_as_told(tmp_path):
    model = nn.Sequential(nn.Linear(640, 640))
    handle = graft(model, "sine-lora", {"rank": 8}, sites="*")
    with torch.no_grad():
        handle.sites["0"].up.normal_()
    report = quantization(handle, 4)
    file = write(handle, tmp_path).path
    tensors = load_file(file)
    assert sum(t.numel() * t.element_size() for t in tensors.values()) == report.bytes
    assert report.full_bytes == 4 * 8 * (640 + 640)
    assert report.bytes < 0.13 * report.full_bytes
    assert not [key for key in tensors if "lora_" in key]


def test_other_methods_are_refused(tmp_path):
    handle = graft(Model(), "lora", {"rank": 2}, sites="*")
    with pytest.raises(GraftworkError, match="'sine-delta': holds sine-lora, not lora"):
        write(handle, tmp_path)
    with pytest.raises(GraftworkError, match="not for lora"):
        quantize(handle, 4)
    assert not list(tmp_path.iterdir())


def test_bits_outside_the_range_are_refused():
    _, handle = trained()
    with pytest.raises(GraftworkError, match="bits: 9"):
        quantize(handle, 9)


def test_other_backbones(tmp_path):
    _, handle = trained()
    write(handle, tmp_path)
    with pytest.warns(UserWarning, match="other weights"):
        load_graft(Model(seed=5), tmp_path)
    smaller = nn.ModuleDict({"first": nn.Conv2d(3, 8, 3), "second": nn.Linear(8, 11)})
    with pytest.raises(GraftworkError, match="made for another model"):
        load_graft(smaller, tmp_path)
    assert all(parameter.requires_grad for parameter in smaller.parameters())


def test_damaged_files_are_refused(tmp_path):
    _, handle = trained()
    file = write(handle, tmp_path).path
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    lost = {key: tensor for key, tensor in tensors.items() if key != "second.up.codes"}
    more = {**tensors, "third.up.values": torch.zeros(2)}
    short = {**tensors, "second.up.codes": tensors["second.up.codes"][:1]}
    few = {**tensors, "second.up.values": tensors["second.up.values"][:1]}
    for damaged, words in (
        (lost, "'second.up' is missing or cut"),
        (more, "'third.up.values' belongs to no factor"),
        (short, "'second.up' is missing or cut"),
        (few, "'second.up' is missing or cut"),
    ):
        save_file(damaged, file, metadata)
        with pytest.raises(GraftworkError, match=words):
            load_graft(Model(), file)
    header = json.loads(metadata["graftwork.sine-delta"])
    save_file(tensors, file, {"graftwork.sine-delta": json.dumps({**header, "version": 9})})
    with pytest.raises(GraftworkError, match="version is not known"):
        load_graft(Model(), file)


def test_only_its_own_files_are_detected(tmp_path):
    _, handle = trained()
    file = write(handle, tmp_path / "ours").path
    assert SineDeltaFormat.detect(file)
    assert SineDeltaFormat.detect(file.parent)
    save_file({"x": torch.zeros(2)}, tmp_path / "plain.safetensors", {"format": "pt"})
    (tmp_path / "text.safetensors").write_text("no tensors, but long enough for a header")
    (tmp_path / "empty.safetensors").touch()
    for name in ("plain", "text", "empty", "missing"):
        assert not SineDeltaFormat.detect(tmp_path / f"{name}.safetensors")
