"""Checks of saving and loading."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from graftwork.nn import load_graft
from graftwork.testing.adapter.case import AdapterCases, Case, only
from graftwork.testing.adapter.toys import Toy
from graftwork.testing.compare import refused, same_bits, same_state


class Files(AdapterCases):
    """An adapter comes back from disk bit for bit, and a bad file is refused."""

    def test_saved_is_loaded(self, toy: Toy, tmp_path: Path) -> None:
        """A trained adapter, alpha other than its rank, is the same after save and load.

        When it fails: everything that the output depends on has to be a setting, a parameter or a
        persistent buffer. `start` does not run on loading, and `__init__` runs without values.
        """
        changes: dict[str, Any] = {"alpha": 3.0} if "alpha" in self.setting_names() else {}
        case = self.case(toy, **changes)
        case.handle.save(tmp_path / "adapter")
        model = toy.model()
        loaded = load_graft(model, tmp_path / "adapter")
        same_state(loaded.state_dict(), case.handle.state_dict(), remedy="save every tensor")
        assert loaded.settings == case.handle.settings, "the settings changed on the way"
        remedy = "something besides settings, parameters and persistent buffers decides the output"
        same_bits(model(case.x), case.output(), remedy=remedy)
        flags = {name: p.requires_grad for name, p in loaded.named_parameters()}
        expected = {name: p.requires_grad for name, p in case.handle.named_parameters()}
        assert flags == expected, "what trains changed on the way"

    @only("linear")
    def test_loading_spares_the_generator(self, toy: Toy, tmp_path: Path) -> None:
        """Loading draws no random numbers.

        When it fails: draw with torch's functions on torch tensors, which loading skips.
        """
        path = self._saved(toy, tmp_path)[1]
        before = torch.get_rng_state()
        load_graft(toy.model(), path)
        assert torch.equal(before, torch.get_rng_state()), "loading moved torch's generator"

    @only("linear")
    def test_truncated_file_is_refused(self, toy: Toy, tmp_path: Path) -> None:
        """A file that was cut short is one clear error.

        When it fails: leave reading to `load_graft`.
        """
        path = self._saved(toy, tmp_path)[1]
        weights = path / "adapter.safetensors"
        weights.write_bytes(weights.read_bytes()[:-5])
        self._refused(toy, path, "cut short")

    @only("linear")
    def test_nan_is_refused(self, toy: Toy, tmp_path: Path) -> None:
        """Weights with NaN are not loaded.

        When it fails: keep values as floating-point tensors, where NaN can be seen.
        """
        path = self._saved(toy, tmp_path)[1]
        tensors = load_file(path / "adapter.safetensors")
        key = min(key for key, tensor in tensors.items() if tensor.is_floating_point())
        tensors[key].view(-1)[0] = float("nan")
        _rewrite(path, tensors)
        self._refused(toy, path, "NaN")

    @only("linear")
    def test_other_shape_is_refused(self, toy: Toy, tmp_path: Path) -> None:
        """An adapter of a backbone of another size is refused, and the backbone stays as it was.

        When it fails: give parameters the sizes that the site has.
        """
        path = self._saved(toy, tmp_path)[1]
        others = [t for t in self.toys() if t.kind == toy.kind and t is not toy]
        if others:
            self._refused(others[0], path, "")

    @only("linear")
    def test_missing_tensor_is_refused(self, toy: Toy, tmp_path: Path) -> None:
        """A file that lacks one of the tensors is refused.

        When it fails: save every parameter and buffer, and rely on none that may be absent.
        """
        path = self._saved(toy, tmp_path)[1]
        tensors = load_file(path / "adapter.safetensors")
        tensors.pop(min(tensors))
        _rewrite(path, tensors)
        self._refused(toy, path, "missing")

    def _saved(self, toy: Toy, tmp_path: Path) -> tuple[Case, Path]:
        case = self.case(toy)
        return case, case.handle.save(tmp_path / "adapter")

    def _refused(self, toy: Toy, path: Path, word: str) -> None:
        model = toy.model()
        before = model.state_dict()
        with refused(word, remedy="leave reading to load_graft"):
            load_graft(model, path)
        same_state(model.state_dict(), before, remedy="a refused file must change nothing")


def _rewrite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Replace the weights and their hash, as a careful vandal would."""
    save_file(tensors, path / "adapter.safetensors")
    card = json.loads((path / "adapter.json").read_text())
    data = (path / "adapter.safetensors").read_bytes()
    card["sha256"] = hashlib.sha256(data).hexdigest()
    (path / "adapter.json").write_text(json.dumps(card))
