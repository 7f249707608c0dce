"""tinysegnet export."""

from .options import CheckpointPath, FilePath

ENDINGS = {"--onnx": (".onnx",), "--html": (".html", ".htm")}


def run(
    checkpoint: CheckpointPath, /, *, out: FilePath | None = None, onnx: FilePath | None = None,
    html: FilePath | None = None, half: bool = False, fold: bool = False, torch: bool = False, argmax: bool = False,
) -> int:  # fmt: skip
    """Write a network as a small checkpoint, as an ONNX file for other programs, or as a page for browsers.

    Give one of --out, --onnx and --html.

    Args:
        out: A new checkpoint without the parts that only training needs. It has a third of the size, or a sixth with
            --half.
        onnx: A new ONNX file, such as net.onnx. Its input is `image`, RGB pictures (N, H, W, 3) uint8. Its output is
            `logits` (N, H, W, classes), float32.
        html: A new page that runs the network on pictures or the camera, offline.
        half: With --out: store the weights as float16.
        fold: With --out: fold batch norm into the convolutions. The network predicts the same with fewer parameters,
            but should not be trained further.
        torch: With --out: use PyTorch's names and layouts. tinysegnet cannot load such a file as a checkpoint.
        argmax: With --onnx: the output is `labels` (N, H, W), the class of each pixel, uint8.
    """
    from ..errors import SettingError
    from ..files import write_atomically
    from ..weights.checkpoint import open_checkpoint

    targets = [(option, path) for option, path in (("--out", out), ("--onnx", onnx), ("--html", html)) if path]
    if len(targets) != 1:
        found = f"got {' and '.join(option for option, _ in targets)}" if targets else "all are missing"
        raise SettingError(f"export needs one of --out, --onnx and --html, but {found}. See tinysegnet export --help")
    option, path = targets[0]
    for name, value, needed in (("--half", half, "--out"), ("--fold", fold, "--out"), ("--torch", torch, "--out"),
                                ("--argmax", argmax, "--onnx")):  # fmt: skip
        if value and option != needed:
            raise SettingError(f"{name} cannot be combined with {option}. It belongs to {needed}")
    if torch and half:
        raise SettingError("--torch and --half cannot be combined. Give --torch, and convert to float16 with "
                           "PyTorch's .half()")  # fmt: skip
    if option != "--out" and path.suffix.lower() not in (endings := ENDINGS[option]):
        raise SettingError(f"{path}: a file of {option} must end in {endings[0]}. Give another name")
    if path.exists():
        raise SettingError(f"{path}: exists already. Choose another {option}, or remove it")
    loaded = open_checkpoint(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    if html is not None:
        from ..export.network_page import build_live_page

        write_atomically(path, build_live_page(loaded).encode())
    elif onnx is not None:
        from ..export import to_onnx

        proto = to_onnx(loaded.model, palette=loaded.palette, size=loaded.size, argmax=argmax)
        write_atomically(path, proto.SerializeToString())
    else:
        from ..models import fold_batchnorm

        model = fold_batchnorm(loaded.model) if fold else loaded.model
        if torch:
            import safetensors.numpy

            from ..weights.torch_state import to_torch_state

            write_atomically(path, safetensors.numpy.save(to_torch_state(model)))
        else:
            from ..weights.checkpoint import save

            save(path, model, palette=loaded.palette, training=loaded.training, half=half)
    print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0
