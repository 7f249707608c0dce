"""tinysegnet export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.numpy

from ..errors import SettingError
from ..files import write_atomically
from ..models import fold_batchnorm
from ..weights import checkpoint
from ..weights.bundled import open_checkpoint
from ..weights.torch_state import to_torch_state
from .options import CheckpointPath

__all__ = ["Export"]


@dataclass(frozen=True)
class Export:
    """Copy a checkpoint without what only training needs: a third of the size, a sixth with --half."""

    checkpoint: CheckpointPath
    """A .safetensors file that `train` wrote."""
    out: Path
    """The new file."""
    half: bool = False
    """Store float16."""
    fold: bool = False
    """Fold batch norm into the convolutions: the same network with fewer numbers, to predict and evaluate."""
    torch: bool = False
    """Names and layouts of PyTorch, for its modules; such a file is no checkpoint of ours any more."""

    def run(self) -> int:
        if self.torch and self.half:
            raise SettingError("--torch, --half: one of the two (PyTorch's own .half() makes float16)")
        if self.out.exists():
            raise SettingError(f"{self.out}: exists already. Choose another --out, or remove it")
        loaded = open_checkpoint(self.checkpoint)
        model = fold_batchnorm(loaded.model) if self.fold else loaded.model
        self.out.parent.mkdir(parents=True, exist_ok=True)
        if self.torch:
            write_atomically(self.out, safetensors.numpy.save(to_torch_state(model)))
        else:
            checkpoint.save(self.out, model, palette=loaded.palette, training=loaded.training, half=self.half)
        print(f"{self.out}  {self.out.stat().st_size / 1e6:.2f} MB")
        return 0
