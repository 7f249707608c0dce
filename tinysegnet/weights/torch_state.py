"""Conversion to and from PyTorch: parameters and running statistics with the names and layouts of torch.nn.

    ours                               PyTorch
    encoder1.conv1.weight (K, K, C, F)   encoder1.conv1.weight (F, C, K, K)
    ... of ConvTranspose2d (K, K, F, C)  (C, F, K, K)
    ... of DepthwiseConv2d (K, K, 1, C)  (C, 1, K, K), with groups=C
    encoder1.bn1.gamma, beta             encoder1.bn1.weight, bias
    encoder1.bn1.running_mean, _var      the same, and num_batches_tracked

In PyTorch, `module.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})` loads the arrays, and
`{name: t.numpy() for name, t in module.state_dict().items()}` returns PyTorch's.
"""

from collections.abc import Mapping

import numpy as np

from ..errors import CheckpointError
from ..models.network import Network

_KEYS = {"gamma": "weight", "beta": "bias"}
_BATCHES = "num_batches_tracked"  # PyTorch's count of batches, which is not used here


def to_torch_state(model: Network) -> dict[str, np.ndarray]:
    """Return copies of the model's arrays under PyTorch's names and in PyTorch's layouts."""
    state = {}
    for name, array in model.state().items():
        state[_torch_name(name)] = np.array(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, order="C")
    means = [name for name in state if name.endswith(".running_mean")]
    return state | {name.replace("running_mean", _BATCHES): np.zeros((), np.int64) for name in means}


def from_torch_state(model: Network, state: Mapping[str, np.ndarray]) -> None:
    """Copy arrays with PyTorch's names into the model. Raises CheckpointError with all wrong names and shapes."""
    names = {_torch_name(name): name for name in model.state()}
    given = {name: np.asarray(array) for name, array in state.items() if not name.endswith(_BATCHES)}
    state = {}
    for name, array in given.items():
        if array.dtype.kind != "f":
            raise CheckpointError(f"{name} has dtype {array.dtype}, which is not floating-point")
        state[names.get(name, name)] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    model.load_state(state)


def _torch_name(name: str) -> str:
    layer, _, key = name.rpartition(".")
    return f"{layer}.{_KEYS.get(key, key)}"
