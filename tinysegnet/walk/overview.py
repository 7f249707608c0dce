"""The first step's facts about network, picture and labels, and how the walk and `predict` compare."""

from typing import Any

import numpy as np

from ..data import Palette
from ..layers import Tape
from ..models import Network
from ..prediction.predict import Scales, Size, class_logits, predict
from ..runtime.settings import convert
from .explanations import explain
from .trace import Trace, trace


def build_overview(model: Network, x: np.ndarray, found: Trace, prediction: np.ndarray, own_size: Size,
                   palette: Palette) -> list[tuple[str, str]]:  # fmt: skip
    """Return rows (name, text). `x`, (1, H, W, 3), is the network's input, and `own_size` is the picture's own size."""
    H, W = x.shape[1:3]
    network = model.config.get("name", "custom network")
    network += f", {model.num_parameters:,} parameters, {len(model.layers)} layers"
    rows = {"Network": network, "Picture": f"{H} x {W} pixels"}
    if own_size != (H, W):
        rows["Picture"] += f", resized from {own_size[0]} x {own_size[1]}"
    if found.loss is not None:
        right = (prediction == found.loss.labels)[found.loss.labels >= 0]
        share = f"{right.mean():.1%} of the labelled pixels are correct" if right.size else "no pixel is labelled"
        rows["Loss"] = f"{found.loss.value:.6g}; {share}"
        rows["Labels"] = _shares(found.loss.labels, palette)
    rows["Statistics"] = "Batch norm uses its running statistics and dropout is off, as in one pass of predict."
    rows["Precision"] = _precision(model, x, found, prediction)
    return list(rows.items())


def _shares(labels: np.ndarray, palette: Palette) -> str:
    """List the classes of a label map, largest first, so that readers notice a wrong map."""
    shares = {name: float(np.mean(labels == k)) for k, name in enumerate(palette.names)}
    found = [f"{name} {share:.1%}" for name, share in sorted(shares.items(), key=lambda item: -item[1]) if share]
    void = float(np.mean(labels < 0))
    return ", ".join([*found, f"not labelled {void:.1%}"] if void else found)


def describe_averaging(model: Network, image: np.ndarray, size: Size | None, mirror: bool, scales: Scales) -> str:
    """Describe how `predict` with these settings differs from a walk's single pass, or return "" if it does not."""
    scales = convert("scales", scales, Scales)
    count = len(scales) * (2 if mirror else 1)
    if count == 1 and scales == (1.0,):
        return ""
    once = predict(model, image, size=size)
    averaged = predict(model, image, size=size, mirror=mirror, scales=scales)
    differing = int((averaged != once).sum())
    fields = {"passes": count, "mirror": mirror, "scales": [f"{scale:g}" for scale in scales]}
    return explain("averaging", differing=differing, pixels=once.size, **fields)["text"]


def describe_weighting(class_weights: Any, in_training: str | tuple[float, ...] | None) -> str:
    """Describe the class weights of this page's loss and, if known, those of training."""
    return explain("weighting", weighted=class_weights is not None, in_training=in_training)["text"]


def _precision(model: Network, x: np.ndarray, found: Trace, prediction: np.ndarray) -> str:
    """Describe how the network's own arithmetic compares with the page's."""
    tape = Tape()
    logits = model.forward(x, tape=tape)
    finite = bool(np.isfinite(logits).all())
    difference, differing = _distance(logits, found, prediction)
    pools = [traced for traced in found.layers if traced.layer in tape.indices]
    indices = {pool.name: tape.indices[pool.layer] for pool in pools}
    windows = sum(int((pool.layer.positions(indices[pool.name], pool.out.shape[3]) != pool.positions).sum())
                  for pool in pools)  # fmt: skip
    rest, rest_differing = difference, differing
    if windows and finite:
        same_indices = trace(model, x[0], None, indices=indices)
        rest, rest_differing = _distance(logits, same_indices, class_logits(same_indices.logits)[0].argmax(-1))
    if rest_differing >= differing and not rest < difference / 2:  # if these windows do not explain the difference
        windows = 0
    fields = {"difference": f"{difference:.2g}", "differing": differing, "rest": f"{rest:.2g}"}
    return explain("precision", finite=finite, windows=windows, rest_differing=rest_differing, **fields)["text"]


def _distance(logits: np.ndarray, found: Trace, prediction: np.ndarray) -> tuple[float, int]:
    """Return the largest difference from the trace's logits, and the number of pixels with another class."""
    return float(np.abs(logits - found.logits).max()), int((class_logits(logits)[0].argmax(-1) != prediction).sum())
