"""An exponential moving average of the weights, which is validated, saved and returned instead of them.

The average after step t weights the parameters after step i by decay^(t - i). It is normalised by the sum of these
factors, as in Adam's bias correction (Kingma & Ba 2015), and so does not contain the random weights before step 1:

    average += (1 - decay) / (1 - decay^t) * (parameters - average)

The average over many steps varies less than the parameters of any one of them (Polyak & Juditsky 1992; Tarvainen &
Valpola 2017). Its activations differ from those in training, so batch norm's statistics are recomputed before every
validation and at the end.
"""

import numpy as np

from ..models import Network

TRAINING = "training/"  # beside the optimizer's arrays in a checkpoint, the prefix of the arrays that training changes


class WeightAverage:
    """The average of a network's parameters. With decay 0, nothing is averaged and no method has an effect.

    While training, the network contains its own parameters, and between `apply` and `restore` their average.
    """

    def __init__(self, model: Network, decay: float) -> None:
        self.model, self.decay = model, decay
        self._average = {name: np.zeros_like(array) for name, array in model.named_parameters()} if decay else {}
        self._started = False  # whether there was a step
        self._training: dict[str, np.ndarray] = {}  # between `apply` and `restore`: parameters and running statistics

    def update(self, steps: int) -> None:
        """Include the parameters after training step number 1, 2, ..."""
        if self.decay:
            share = (1 - self.decay) / (1 - self.decay**steps)
            for name, array in self.model.named_parameters():
                self._average[name] += share * (array - self._average[name])
            self._started = True

    def apply(self) -> None:
        """Put the average into the network, unless it is there or there was no step, and keep training's arrays."""
        if self._started and not self._training:
            self._training = {name: array.copy() for name, array in self.model.state().items()}
            for name, array in self.model.named_parameters():
                array[...] = self._average[name]

    def restore(self) -> None:
        """Put the parameters and running statistics of training back into the network."""
        if self._training:
            for name, array in self.model.named_parameters():
                self._average[name][...] = array
            self.model.load_state(self._training)
            self._training = {}

    def state(self) -> dict[str, np.ndarray]:
        """Return training's arrays by name. Together with the average in the network, they are the whole state."""
        return {f"{TRAINING}{name}": array for name, array in self._training.items()}

    def load_state(self, arrays: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
        """Continue from a `state` after a number of steps, with the average in the network.

        Returns the arrays that do not belong to it. Raises ValueError if the steps before were not averaged.
        """
        if self.decay:
            own = {name: array for name, array in arrays.items() if name.startswith(TRAINING)}
            self._training = {name.removeprefix(TRAINING): array for name, array in own.items()}
            self._started = bool(own)
            if steps and not own:
                raise ValueError("weight_average was off before, so there is no average that can continue")
            arrays = {name: array for name, array in arrays.items() if name not in own}
        return arrays
