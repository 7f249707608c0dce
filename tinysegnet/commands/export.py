"""tinysegnet export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.numpy

from .. import checkpoint
from ..errors import SettingError
from ..files import write_atomically
from ..models import to_torch_state
from ..pretrained import open_checkpoint
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
    torch: bool = False
    """Names and layouts of PyTorch, for its modules; such a file is no checkpoint of ours any more."""

    def run(self) -> int:
        if self.torch and self.half:
            raise SettingError("--torch, --half: one of the two (PyTorch's own .half() makes float16)")
        if self.out.exists():
            raise SettingError(f"{self.out}: exists already. Choose another --out, or remove it")
        loaded = open_checkpoint(self.checkpoint)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        if self.torch:
            arrays = to_torch_state(loaded.model)
            write_atomically(self.out, safetensors.numpy.save(arrays))
        else:
            checkpoint.save(self.out, loaded.model, palette=loaded.palette, training=loaded.training, half=self.half)
        print(f"{self.out}  {self.out.stat().st_size / 1e6:.2f} MB")
        return 0
