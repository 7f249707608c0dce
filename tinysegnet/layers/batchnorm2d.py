"""Batch normalisation, alone or fused with the ReLU that follows it."""

from typing import Any

import numpy as np

from .. import ops
from .layer import Layer
from .pixelwise_layers import ReLU


class BatchNorm2d(Layer):
    """Batch normalisation with running statistics, as in torch.nn.BatchNorm2d.

    Training normalises with the mean and biased variance of the batch, and moves the running statistics towards the
    mean and the unbiased variance. Inference normalises with the running statistics.

    Args:
        num_features: the number of channels.
        eps: a small constant added to the variance.
        momentum: the weight of each batch in the running statistics.
    """

    op, keeps = "batchnorm2d", "input"
    synchronized = True

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, dtype: Any = np.float32) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.params = {"gamma": np.ones(num_features, dtype), "beta": np.zeros(num_features, dtype)}
        self.buffers = {"running_mean": np.zeros(num_features, dtype), "running_var": np.ones(num_features, dtype)}

    def _forward(self, x, tape):
        from_batch = tape.training or tape.statistics is not None
        mean, var = (None, None) if from_batch else (self.buffers["running_mean"], self.buffers["running_var"])
        gamma, beta = self.params["gamma"], self.params["beta"]
        (out, mean, var), cache = self._ops(tape).forward(x, gamma, beta, mean=mean, var=var, eps=self.eps)
        if tape.statistics is not None:
            tape.statistics[self] = mean, var, x.size // x.shape[3]
        if tape.training:
            self.observe(mean, var, x.size // x.shape[3])
        return out, cache

    def forward_pictures(self, xs, batch):
        """Normalise with the statistics of all pictures of the batch."""
        gamma, beta = self.params["gamma"], self.params["beta"]
        like = np.empty((3, len(gamma)))
        count, mean, squares = batch.total([ops.picture_moments(x) for x in xs], like, ops.merge_moments)
        count, mean, var = int(count[0]), mean.astype(gamma.dtype), (squares / count).astype(gamma.dtype)
        outs = []
        for x, tape in zip(xs, batch.pictures, strict=True):
            tape.sizes[self] = x.shape[1:3]
            (out, _, _), tape.caches[self] = self._ops(tape).forward(x, gamma, beta, mean=mean, var=var, eps=self.eps)
            outs.append(out)
        if batch.statistics is not None:
            batch.statistics[self] = mean, var, count
        if batch.training:
            self.observe(mean, var, count)
            batch.counts[self] = count
        return outs

    def backward_pictures(self, douts, batch, *, input_gradient=True):
        """Compute dx with the sums over all pictures of the batch, which are also the gradients of beta and gamma."""
        relu, both = self.op == "batchnorm2d_relu", list(zip(douts, batch.pictures, strict=True))
        like = np.empty((2, len(self.params["gamma"])), self.params["gamma"].dtype)
        sums = [np.stack(ops.gradient_sums(dout, tape.caches[self], relu=relu)) for dout, tape in both]
        dbeta, dgamma = batch.total(sums, like, np.add)
        self.grads.update(gamma=dgamma, beta=dbeta)
        settings = {"m": batch.counts[self], "relu": relu}
        return [ops.input_gradient(dout, tape.caches.pop(self), dbeta, dgamma, **settings) for dout, tape in both], []

    def observe(self, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        """Move the running statistics towards the mean and biased variance of a batch of `count` pixels."""
        for name, value in (("running_mean", mean), ("running_var", var * (count / (count - 1)))):
            self.buffers[name] += self.momentum * (value - self.buffers[name])

    def _details(self, x, out, tape):
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        return {"params": {**self.params, "mean": mean, "var": var}, "settings": {"eps": self.eps}}

    def fuse(self, following):
        return BatchNormReLU2d(self) if type(self) is BatchNorm2d and type(following) is ReLU else None

    def make_identity(self):
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        mean[...], var[...] = 0, 1
        self.params["gamma"][...] = np.sqrt(var + var.dtype.type(self.eps))
        self.params["beta"][...] = mean


class BatchNormReLU2d(BatchNorm2d):
    """A BatchNorm2d fused with the ReLU after it. It shares the parameters and statistics of the given layer."""

    op = "batchnorm2d_relu"

    def __init__(self, norm: BatchNorm2d) -> None:
        self._norm, self.name = norm, norm.name
        self.params, self.grads, self.buffers = norm.params, norm.grads, norm.buffers

    eps = property(lambda self: self._norm.eps)
    momentum = property(lambda self: self._norm.momentum)

    def branch_signature(self, cache):
        return np.packbits(ops.relu_mask(cache)).tobytes()
