"""Predicting the label maps and probabilities of pictures, and scoring a network on labelled pictures."""

from .evaluate import evaluate
from .predict import class_logits, predict, predict_probs, predict_samples, predict_with_uncertainty, working_size

__all__ = ["class_logits", "evaluate", "predict", "predict_probs", "predict_samples", "predict_with_uncertainty",
           "working_size"]  # fmt: skip
