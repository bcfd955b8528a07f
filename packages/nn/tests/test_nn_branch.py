"""The branch of guidance that a graft acts on: kept by its files, refused where it has no place."""

import json

import pytest
import torch
from torch import nn

from graftwork.core import hookimpl
from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.core.records import FormatSpec
from graftwork.nn import graft, grafts, load_graft
from graftwork.nn.branches import acting_on, branched, shared
from graftwork.nn.merging_together import merge_together


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))


def on(model, name="default", branch="both", **options):
    handle = graft(model, "low-rank", sites="*", name=name, **options)
    handle.branch = branch
    return handle


@pytest.mark.parametrize("branch", ["both", "positive", "negative"])
def test_files_keep_the_branch(tmp_path, branch):
    folder = on(build(), branch=branch).save(tmp_path / "adapter")
    assert load_graft(build(), folder).branch == branch


def test_files_without_a_branch_are_of_both_and_look_as_they_always_did(tmp_path):
    folder = on(build()).save(tmp_path / "adapter")
    assert "branch" not in json.loads((folder / "adapter.json").read_text())


def test_a_file_of_no_known_branch_is_refused(tmp_path):
    folder = on(build(), branch="negative").save(tmp_path / "adapter")
    path = folder / "adapter.json"
    path.write_text(path.read_text().replace('"negative"', '"sideways"'))
    model = build()
    with pytest.raises(GraftworkError, match=r"adapter.json: branch: .* got 'sideways'"):
        load_graft(model, folder)
    assert grafts(model) == {}


def test_only_a_branch_that_there_is():
    handle = on(build())
    with pytest.raises(GraftworkError, match=r"branch: 'left' is none; one of: 'both', 'posi"):
        handle.branch = "left"
    assert handle.branch == "both"


def test_learned_words_have_none():
    handle = graft(nn.Sequential(nn.Embedding(9, 4)), "vectors", sites="0")
    handle.branch = "both"
    with pytest.raises(GraftworkError, match="branch: learned words act in the prompts"):
        handle.branch = "positive"


def test_each_branch_is_the_model_with_its_own_grafts():
    model, x = build(), torch.randn(4, 5)
    handles = {name: on(model, name, name) for name in ("positive", "negative")}
    handles["both"] = on(model, "both")
    assert branched(model)
    for name in ("positive", "negative"):
        other = "negative" if name == "positive" else "positive"
        with acting_on(model, name):
            found = model(x)
        with handles[other].disabled():
            torch.testing.assert_close(found, model(x), rtol=0, atol=0)


def test_a_merge_is_refused_until_it_is_meant():
    model, x = build(), torch.randn(4, 5)
    handle = on(model, "side", "positive")
    expected = model(x)
    for merge in (handle.merge, lambda: merge_together([on(model, "more"), handle])):
        with pytest.raises(GraftworkError, match=r"merge: graft 'side' acts on the positive"):
            merge()
    grafts(model)["more"].detach()
    torch.testing.assert_close(model(x), expected, rtol=0, atol=0)
    handle.branch = "both"
    handle.merge()
    torch.testing.assert_close(model(x), expected)


def test_what_takes_the_place_of_several_needs_one_branch():
    model = build()
    sides = [on(model, "a", "positive"), on(model, "b", "positive"), on(model, "c", "negative")]
    assert shared(sides[:2]) == "positive"
    with pytest.raises(GraftworkError, match="'a' acts on positive and 'c' on negative"):
        shared(sides)


class Nothing:
    """A format that writes an empty file."""

    def write(self, handle, path):
        path.write_bytes(b"")
        return path


class Offer:
    @hookimpl
    def formats(self):
        target = f"{Nothing.__module__}:{Nothing.__name__}"
        return [FormatSpec(name="nothing", target=target, summary="-", reads=False, writes=True)]


def test_an_export_tells_what_the_file_cannot_say(manager, tmp_path):
    manager.register(Offer(), "nothing")
    handle = on(build())
    handle.export(tmp_path / "both", format="nothing")  # warnings are errors
    handle.branch = "negative"
    with pytest.warns(GraftworkWarning, match="negative branch of guidance alone, which the file"):
        handle.export(tmp_path / "one", format="nothing")
