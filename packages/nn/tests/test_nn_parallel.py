"""Two processes that train one adapter on halves of a batch agree with one on the whole."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

METHODS = ("low-rank", "scale", "gate")


def _build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def _data():
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(3))


def _graft(model, method):
    from graftwork.core import plugins
    from graftwork.core.plugins import PluginManager
    from graftwork.nn import graft

    manager = PluginManager()
    manager.register(_offer(), "offer")
    with plugins.use(manager):
        return graft(model, method, sites="*")


def _offer():
    """The adapters of conftest.py, also in a process that pytest did not start."""
    import importlib.util
    import sys

    name = "graftwork_parallel_adapters"
    if name not in sys.modules:
        path = Path(__file__).with_name("conftest.py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name].Offer()


def _train(model, handle, data):
    optimizer = torch.optim.SGD(handle.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(data).square().mean().backward()
        optimizer.step()
    return {key: tensor.clone() for key, tensor in handle.state_dict().items()}


def _work(rank, store, folder):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for method in METHODS:
        model = _build()
        handle = _graft(model, method)
        parallel = DistributedDataParallel(model)
        state = _train(parallel, handle, _data()[4 * rank : 4 * rank + 4])
        torch.save(state, os.path.join(folder, f"{method}-{rank}.pt"))  # noqa: PTH118
    dist.destroy_process_group()


def _spawned(folder):
    return mp.spawn(_work, args=(str(folder / "store"), str(folder)), nprocs=2, join=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    # The children find this module by its dotted name, from the path they take over from here.
    root = str(Path(__file__).resolve().parents[__name__.count(".")])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        context = _spawned(folder)
    while not context.join(timeout=60):
        pass
    return lambda method, rank: torch.load(folder / f"{method}-{rank}.pt", weights_only=True)


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_equal_one(method, trained):
    model = _build()
    alone = _train(model, _graft(model, method), _data())
    torch.testing.assert_close(trained(method, 0), trained(method, 1), rtol=0, atol=0)
    torch.testing.assert_close(trained(method, 0), alone)
