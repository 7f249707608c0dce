"""Local response normalisation."""

from .layer import Layer


class LocalResponseNorm(Layer):
    """The first layer of SegNet-Basic: it divides each value by a power of the energy of the neighbouring channels.

    Args:
        size: the number of channels in the window.
        alpha, beta, k: as in `ops.local_response_norm_forward`; the defaults are those of the authors' model file.
    """

    op, keeps = "local_response_norm", "input"
    mixes_channels = True

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.settings = {"size": size, "alpha": alpha, "beta": beta, "k": k}

    def _forward(self, x, tape):
        return self._ops(tape).forward(x, **self.settings)

    def _details(self, x, out, tape):
        return {"settings": dict(self.settings)}
