"""tinysegnet export."""

from .options import CheckpointPath, FilePath


def run(
    checkpoint: CheckpointPath, /, *, out: FilePath, half: bool = False, fold: bool = False, torch: bool = False
) -> int:
    """Copy a checkpoint without the parts that only training needs. It has a third of the size, or a sixth with --half.

    Args:
        out: The new file.
        half: Store the weights as float16.
        fold: Fold batch norm into the convolutions. The network predicts the same with fewer parameters, but should not
            be trained further.
        torch: Use PyTorch's names and layouts. tinysegnet cannot load such a file as a checkpoint.
    """
    import safetensors.numpy

    from ..errors import SettingError
    from ..files import write_atomically
    from ..models import fold_batchnorm
    from ..weights import checkpoint as checkpoint_files
    from ..weights.checkpoint import open_checkpoint
    from ..weights.torch_state import to_torch_state

    if torch and half:
        raise SettingError("--torch and --half cannot be combined. Give --torch, and convert to float16 with "
                           "PyTorch's .half()")  # fmt: skip
    if out.exists():
        raise SettingError(f"{out}: exists already. Choose another --out, or remove it")
    loaded = open_checkpoint(checkpoint)
    model = fold_batchnorm(loaded.model) if fold else loaded.model
    out.parent.mkdir(parents=True, exist_ok=True)
    if torch:
        write_atomically(out, safetensors.numpy.save(to_torch_state(model)))
    else:
        checkpoint_files.save(out, model, palette=loaded.palette, training=loaded.training, half=half)
    print(f"{out}  {out.stat().st_size / 1e6:.2f} MB")
    return 0
