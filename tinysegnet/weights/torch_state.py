"""To and from PyTorch: a network's parameters and running statistics with torch.nn's names and layouts.

    ours                               PyTorch
    encoder1.conv1.weight (K, K, C, F)   encoder1.conv1.weight (F, C, K, K)
    ... of ConvTranspose2d (K, K, F, C)  (C, F, K, K)
    ... of DepthwiseConv2d (K, K, 1, C)  (C, 1, K, K), with groups=C
    encoder1.bn1.gamma, beta             encoder1.bn1.weight, bias
    encoder1.bn1.running_mean, _var      the same, and num_batches_tracked

Nothing here needs PyTorch: `module.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})` gives the
arrays to a module, `from_torch_state(model, {name: t.numpy() for name, t in module.state_dict().items()})` takes them.
"""

from collections.abc import Mapping

import numpy as np

from ..errors import CheckpointError
from ..models.network import Network

_KEYS = {"gamma": "weight", "beta": "bias"}
_BATCHES = "num_batches_tracked"  # in PyTorch's batch norms, the number of batches so far; not used here


def to_torch_state(model: Network) -> dict[str, np.ndarray]:
    """Copies of the model's arrays by PyTorch's names, in PyTorch's layouts."""
    state = {}
    for name, array in model.state().items():
        state[_torch_name(name)] = np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
    means = [name for name in state if name.endswith(".running_mean")]
    return state | {name.replace("running_mean", _BATCHES): np.zeros((), np.int64) for name in means}


def from_torch_state(model: Network, state: Mapping[str, np.ndarray]) -> None:
    """Copy arrays by PyTorch's names into the model; CheckpointError lists every name or shape that is wrong."""
    names = {_torch_name(name): name for name in model.state()}
    given = {name: np.asarray(array) for name, array in state.items() if not name.endswith(_BATCHES)}
    state = {}
    for name, array in given.items():
        if array.dtype.kind != "f":
            raise CheckpointError(f"{name} is {array.dtype} (expected floating-point numbers)")
        state[names.get(name, name)] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    model.load_state(state)


def _torch_name(name: str) -> str:
    layer, _, key = name.rpartition(".")
    return f"{layer}.{_KEYS.get(key, key)}"
