"""The suite for adapters that learn words."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graftwork.nn import Graft, TokenAdapter, graft, grafts, load_graft
from graftwork.nn.words import LearnedWords
from graftwork.testing.adapter.case import projection, shake
from graftwork.testing.compare import agree, refused, same_bits, same_state
from graftwork.testing.plugins import PluginSuite

_WORD, _OTHER = "zed", "qux"


class Reading(nn.Module):
    """A model that reads: words to ids by their length, embedded and mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, 6, padding_idx=0)
        self.mix = nn.Linear(6, 4)

    def token_ids(self, text: str) -> Sequence[int]:
        """One id for every word."""
        return [1 + len(word) % 10 for word in text.split()]

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, length) ids to (batch, length, 4)."""
        return torch.tanh(self.mix(self.tokens(ids)))


class TokenSuite(PluginSuite):
    """Checks of one adapter that learns vectors for words of a prompt.

    ```python
    class TestTextualInversion(TokenSuite):
        name = "textual-inversion"
    ```

    An adapter that is not told its word by a setting `placeholder` needs `settings`.
    """

    kind = "adapters"
    base = TokenAdapter

    farthest_start: ClassVar[float] = 3.0
    """How many times longer or shorter than the table's mean a vector may start."""

    def model(self, dtype: torch.dtype = torch.float64) -> Reading:
        """The toy, the same at every call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return Reading().to(dtype).eval()

    def graft(self, model: nn.Module, *, word: str = _WORD, **options: Any) -> Graft:
        """The adapter on the toy's embedding; `own` settings beside those of the suite."""
        own = dict(options.pop("own", {}))
        if "placeholder" in self.setting_names():
            own.setdefault("placeholder", word)
        options = {"sites": "tokens", "dtype": torch.float64, **options}
        return graft(model, self.name, self.parsed(**own), **options)

    def grafted(self, frozen: torch.dtype = torch.float64, **options: Any) -> tuple[Reading, Graft]:
        """The toy in a dtype with the adapter on it, with random values as if trained."""
        model = self.model(frozen)
        handle = self.graft(model, **options)
        shake(handle)
        return model, handle

    def test_new_ids_give_the_vectors(self) -> None:
        """An id behind the vocabulary gives its vector, and an old one its old row, to the bit.

        When it fails: override `vectors` alone, and return one row for each new token.
        """
        model, handle = self.grafted()
        vectors = adapter_of(handle).vectors()
        assert len(vectors), "vectors: no row"
        same_bits(model.tokens(ids_of(handle)), vectors, remedy="a new id is not its vector")
        old = torch.arange(11)
        same_bits(model.tokens(old), self.model().tokens(old), remedy="an old id changed")

    def test_words_name_every_vector(self) -> None:
        """The counts of `placeholders` add up to the vectors; opposites oppose one of them.

        When it fails: return one `Placeholder` for every word, in the order of `vectors`.
        """
        model, handle = self.grafted()
        adapter = adapter_of(handle)
        placeholders = adapter.placeholders()
        words = [one.word for one in placeholders]
        assert words, "placeholders: none; no prompt could use the vectors"
        assert len(set(words)) == len(words), f"placeholders: {words} has a word twice"
        assert all(word and not word.isspace() for word in words), "placeholders: an empty word"
        total = sum(one.vectors for one in placeholders)
        assert total == len(adapter.vectors()), f"{total} in words, {len(adapter.vectors())} rows"
        for one in placeholders:
            assert one.opposes in ("", *words), f"'{one.word}' opposes '{one.opposes}', no word"
        known = [number for ids in LearnedWords.of(model).ids.values() for number in ids]
        assert known == ids_of(handle).tolist(), "the words stand for other ids than the vectors'"

    def test_only_the_vectors_train(self) -> None:
        """Every parameter is reached from the new ids, and training leaves the table's bits alone.

        When it fails: make what trains an `nn.Parameter`, and use it in `vectors`.
        """
        model, handle = self.grafted()
        before = copy.deepcopy(self.model().state_dict())
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        projection(model(torch.cat([ids_of(handle), torch.arange(11)]))).backward()
        for name, parameter in handle.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches '{name}'; use it in vectors"
            assert parameter.grad.abs().max() > 0, f"the gradient of '{name}' is zero"
        optimizer.step()
        handle.detach()
        same_state(model.state_dict(), before, remedy="training changed the backbone")

    def test_it_starts_near_the_table(self) -> None:
        """Fresh vectors are finite and about as long as the embedding's rows.

        When it fails: scale the initial values in `start`, which is given the table.
        """
        for scale in (0.01, 30.0):
            model = self.model()
            with torch.no_grad():
                model.tokens.weight.mul_(scale)
            handles = (self.graft(model, seed=seed, name=f"g{seed}") for seed in range(8))
            vectors = torch.cat([_detached(handle).vectors().detach() for handle in handles])
            assert vectors.isfinite().all(), "a vector starts as NaN or infinity"
            usual = model.tokens.weight.detach().norm(dim=1).mean()
            ratio = float(vectors.norm(dim=1).mean() / usual)
            assert 1 / self.farthest_start < ratio < self.farthest_start, (
                f"vectors start {ratio:.3g} times as long as the table's; see `start`"
            )

    def test_it_starts_from_words(self) -> None:
        """The setting `initial`, if there is one, makes the vectors start as those of its words.

        When it fails: name the words in `Placeholder.initial`, and read `initial_ids` in `start`.
        """
        if "initial" not in self.setting_names():
            return
        model = self.model()
        handle = self.graft(model, own={"initial": "seven letters"})
        start = adapter_of(handle).vectors()[0]
        expected = model.tokens.weight[model.token_ids("seven")[0]]
        agree(start, expected, tolerance=0.01, remedy="the first vector is not the first word's")
        with refused("initial", remedy="let `Placeholder.initial` say the words as they are"):
            self.graft(self.model(), own={"initial": " "})

    def test_seed_decides(self) -> None:
        """Initial values follow from the seed, and torch's own generator is left alone.

        When it fails: draw initial values in `__init__` with torch's default generator.
        """
        before = torch.get_rng_state()
        states = [self.graft(self.model(), seed=seed).state_dict() for seed in (4, 4, 5)]
        assert torch.equal(before, torch.get_rng_state()), "grafting moved torch's generator"
        same_state(states[0], states[1], remedy="the same seed must give the same values")
        same = all(torch.equal(states[0][key], states[2][key]) for key in states[0])
        assert not same, "another seed gives the same values; draw them"

    def test_disabled_and_detached_are_the_backbone(self) -> None:
        """A disabled graft knows no words, and a detached one leaves no trace.

        When it fails: keep every effect inside the adapter.
        """
        model, handle = self.grafted()
        old = torch.arange(11)
        expected = self.model()(old)
        with handle.disabled():
            assert not LearnedWords.of(model).ids, "a disabled graft still has words"
            same_bits(model(old), expected, remedy="it acts while disabled")
        handle.detach()
        same_state(model.state_dict(), self.model().state_dict(), remedy="detach left traces")
        assert type(model.tokens) is nn.Embedding, "detach left another class of layer"

    def test_two_grafts_number_their_words_in_turn(self) -> None:
        """A second word gets the ids behind the first, and outlives it.

        When it fails: keep no count outside the adapter; `first_id` is given.
        """
        if "placeholder" not in self.setting_names():
            return
        model, first = self.grafted(name="first")
        second = self.graft(model, word=_OTHER, name="second", seed=9)
        for handle in (first, second):
            vectors = adapter_of(handle).vectors()
            same_bits(model.tokens(ids_of(handle)), vectors, remedy="grafts share their ids")
        with refused(_WORD, remedy="say in `placeholders` what the setting says"):
            self.graft(model, word=_WORD, name="third")
        expected = model.tokens(ids_of(second))
        first.detach()
        same_bits(model.tokens(ids_of(second)), expected, remedy="it depends on another graft")

    def test_it_is_not_merged(self) -> None:
        """Merging is refused, by the record and by the handle.

        When it fails: put `mergeable=False` into the record.
        """
        assert not getattr(self.record, "mergeable", True), "record: mergeable; say False"
        _, handle = self.grafted()
        with refused("cannot be merged", remedy="leave `mergeable` of TokenAdapter as it is"):
            handle.merge()

    def test_saved_is_loaded(self, tmp_path: Path) -> None:
        """Vectors and words come back from disk, and loading draws nothing.

        When it fails: everything they depend on has to be a setting, a parameter or a persistent
        buffer.
        """
        model, handle = self.grafted()
        handle.save(tmp_path / "words")
        again = self.model()
        before = torch.get_rng_state()
        loaded = load_graft(again, tmp_path / "words")
        assert torch.equal(before, torch.get_rng_state()), "loading moved torch's generator"
        same_state(loaded.state_dict(), handle.state_dict(), remedy="save every tensor")
        assert LearnedWords.of(again) == LearnedWords.of(model), "the words changed on the way"
        remedy = "something besides settings, parameters and buffers decides the vectors"
        same_bits(again(ids_of(loaded)), model(ids_of(handle)), remedy=remedy)

    def test_a_file_of_another_size_is_refused(self, tmp_path: Path) -> None:
        """Vectors of another width are refused, and the backbone stays as it was.

        When it fails: give parameters the width `site.rows`.
        """
        _, handle = self.grafted()
        path = handle.save(tmp_path / "words")
        tensors = load_file(path / "adapter.safetensors")
        assert tensors, "nothing was saved; make what trains an nn.Parameter"
        save_file({k: t[..., :-1].contiguous() for k, t in tensors.items()}, tmp_path / "narrow")
        (tmp_path / "narrow").replace(path / "adapter.safetensors")
        model = self.model()
        with refused(remedy="leave reading to load_graft"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_graft(model, path)
        same_state(model.state_dict(), self.model().state_dict(), remedy="it left traces")

    def test_half_precision_backbone(self) -> None:
        """On a bfloat16 backbone, and under autocast, the vectors stay in float32 and train.

        When it fails: build parameters without a dtype, and cast nothing in `vectors`.
        """
        model, handle = self.grafted(torch.bfloat16, dtype=torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model.tokens(ids_of(handle))
        assert output.dtype == torch.bfloat16, f"output in {output.dtype}"
        vectors = adapter_of(handle).vectors()
        assert vectors.dtype == torch.float32, f"vectors in {vectors.dtype}; cast nothing"
        same_bits(output, vectors.bfloat16(), remedy="not the vectors, rounded once")
        projection(output.float()).backward()
        for name, parameter in handle.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches '{name}' in bfloat16"
            assert parameter.grad.isfinite().all(), f"gradient of '{name}' is not finite"

    def test_machinery(self) -> None:
        """Deep copies, checkpointing and torch.compile work through it.

        When it fails: hold tensors as parameters and buffers, and branch on no data.
        """
        model, handle = self.grafted(torch.float32, dtype=torch.float32)
        ids = ids_of(handle)[None]
        expected = model(ids)
        twin = copy.deepcopy(model)
        same_bits(twin(ids), expected, remedy="a deep copy computes another thing")
        shake(grafts(twin)["default"], seed=9)
        assert not torch.equal(twin(ids), expected), "a deep copy uses the original's vectors"
        again = checkpoint(model, ids, use_reentrant=False)
        parameters = list(handle.parameters())
        own = torch.autograd.grad(projection(expected), parameters)
        recomputed = torch.autograd.grad(projection(again), parameters)
        for gradient, other in zip(own, recomputed, strict=True):
            agree(other, gradient, tolerance=1e-6, remedy="another gradient under checkpointing")
        torch.compiler.reset()
        try:
            compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(ids)
        except Exception as error:
            pytest.fail(f"{str(error).strip().partition(chr(10))[0]}; avoid what cannot be traced")
        agree(compiled, model(ids), tolerance=1e-5, remedy="compiled output differs")

    def test_it_learns(self) -> None:
        """Sixty steps of Adam bring the output for the new words near another.

        When it fails: look at the sign of a hand-written gradient.
        """
        model = self.model()
        handle = self.graft(model)
        ids = ids_of(handle)
        target = self.model()(ids % 11).detach().flip(0)
        optimizer = torch.optim.Adam(handle.parameters(), lr=0.05)
        losses = []
        for _ in range(60):
            loss = (model(ids) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.9 * losses[0], f"loss went from {losses[0]:.4g} to {losses[-1]:.4g}"

    def test_bad_sites_and_words_are_refused(self) -> None:
        """Another layer than an embedding is refused, and so is an empty word.

        When it fails: raise `GraftworkError` in `__init__` where the setting is empty.
        """
        model = self.model()
        with refused("not an embedding", remedy="derive from TokenAdapter"):
            self.graft(model, sites="mix")
        if "placeholder" in self.setting_names():
            with refused("placeholder", remedy="refuse an empty word in `__init__`"):
                self.graft(model, own={"placeholder": ""})
        same_state(model.state_dict(), self.model().state_dict(), remedy="it left traces")


def adapter_of(handle: Graft) -> TokenAdapter:
    """The one adapter of a graft."""
    (adapter,) = handle.sites.values()
    assert isinstance(adapter, TokenAdapter)
    return adapter


def _detached(handle: Graft) -> TokenAdapter:
    adapter = adapter_of(handle)
    handle.detach()
    return adapter


def ids_of(handle: Graft) -> Tensor:
    """The ids of all its vectors."""
    adapter = adapter_of(handle)
    return adapter.first_id + torch.arange(len(adapter.vectors()))
