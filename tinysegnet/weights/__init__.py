"""Weights: our checkpoints, files from other libraries, pretrained encoders, and the bundled network."""

from .checkpoint import Checkpoint, load, load_bundled, open_checkpoint, save
from .encoders import encoder_preprocessing, load_encoder
from .torch_state import from_torch_state, to_torch_state

__all__ = ["Checkpoint", "encoder_preprocessing", "from_torch_state", "load", "load_bundled", "load_encoder",
           "open_checkpoint", "save", "to_torch_state"]  # fmt: skip
