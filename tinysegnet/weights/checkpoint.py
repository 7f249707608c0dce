"""Checkpoints: a trained network in one safetensors file, with its configuration and arrays but no code.

The header contains metadata in JSON: "model" (the arguments of `build`), "palette" (class names and colours),
"training" (picture size, epoch, scores) and, if training can be resumed, "progress". The arrays are the model's
parameters and running statistics and, with "progress", the optimizer's arrays "optimizer/<parameter>/<slot>". A digest
of all arrays, "sha256", reveals damage.

The bundled networks are float16 checkpoints beside this file: "toy" is the network `tiny`, trained on toy streets.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from ..data import CAMVID, Palette
from ..data.picture_statistics import TrainingPictures
from ..errors import CheckpointError, SettingError, TinySegNetError, did_you_mean, unknown_name
from ..files import write_atomically
from ..models import CUSTOM, MAX_CLASSES, MAX_WIDTH, Network, build, count_parameters, models
from ..runtime.settings import convert
from .safetensors_file import open_safetensors

FORMAT = "tinysegnet checkpoint 1"
OPTIMIZER = "optimizer/"
MAX_HEADER_BYTES = 100_000_000  # the limit of safetensors; the history of a long run with many classes takes megabytes
BUNDLED = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.safetensors"))}  # by name


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file."""

    model: Network
    palette: Palette = CAMVID
    training: dict[str, Any] = field(default_factory=dict)  # how the weights were trained
    # the state of training and of the optimizer, empty if training cannot be resumed
    progress: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int] | None:
        """The size (H, W) of the training pictures, or None if it was not recorded."""
        return convert("size", self.training.get("size"), tuple[int, int] | None)

    @property
    def class_weights(self) -> str | tuple[float, ...] | None:
        """The class weights used in training, as given in the recipe, or None if they were not recorded."""
        return convert("class_weights", self.training.get("class_weights"), str | tuple[float, ...] | None)

    @property
    def training_pictures(self) -> TrainingPictures | None:
        """The statistics of the training pictures, or None if they were not recorded."""
        saved = self.training.get("input")
        return None if saved is None else TrainingPictures.from_dict(saved)

    @property
    def prediction(self) -> dict[str, Any]:
        """The arguments `size`, `mirror` and `scales` of `predict` with which the network was validated."""
        mirror = convert("mirror", self.training.get("mirror", False), bool)
        scales = convert("test_scales", self.training.get("test_scales", (1.0,)), tuple[float, ...])
        return {"size": self.size, "mirror": mirror, "scales": scales}


def save(
    path: str | PathLike[str], model: Network, *, palette: Palette = CAMVID, training: dict[str, Any] | None = None,
    progress: dict[str, Any] | None = None, optimizer: dict[str, np.ndarray] | None = None, half: bool = False,
) -> None:  # fmt: skip
    """Write a checkpoint atomically: after a crash or on a full disk, the previous file is intact.

    Args:
        path: the file, whose folder must exist.
        training: how the weights were trained. "size" is the (H, W) of the training pictures.
        progress, optimizer: the state of training, and the arrays of the optimizer by name.
        half: store float16, which halves the size and suffices for prediction.

    Raises:
        OSError: the file cannot be written.
        SettingError: a weight is too large for float16.
    """
    parts = {"model": model.config, "layers": _kinds(model), "palette": asdict(palette), "training": training or {},
             "progress": progress or {}}  # fmt: skip
    arrays = model.state() | {f"{OPTIMIZER}{name}": array for name, array in (optimizer or {}).items()}
    if half and any(np.abs(array).max() > np.finfo(np.float16).max for array in arrays.values()):
        raise SettingError("half: a weight exceeds 65504, the largest float16 value. Save the network without half")
    arrays = {name: np.ascontiguousarray(array, np.float16 if half else None) for name, array in arrays.items()}
    metadata = {"format": FORMAT, "sha256": _digest(arrays), **{name: json.dumps(part) for name, part in parts.items()}}
    write_atomically(path, safetensors.numpy.save(arrays, metadata=metadata))


def load(path: str | PathLike[str], *, model: Network | None = None) -> Network:
    """Load the network from a checkpoint of `save` or `train`. Raises CheckpointError for any other or damaged file.

    Args:
        model: a network with the same layers as the saved one, into which the arrays are copied. It is required for
            networks that `tinysegnet.build` cannot make.
    """
    return read(path, model=model).model


def read(path: str | PathLike[str], *, model: Network | None = None) -> Checkpoint:
    """Read everything in a checkpoint. `model` has the same meaning as in `load`. Raises CheckpointError."""
    try:
        path = fspath(path)  # for messages
        advice = "Give a .safetensors file that `train` wrote"
        with open_safetensors(Path(path), "a checkpoint", advice, most=MAX_HEADER_BYTES) as file:
            metadata = {"layers": "{}", "progress": "{}"} | (file.metadata() or {})  # version 0.1 may lack these two
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"not a checkpoint of tinysegnet. {advice}")
            parts = {name: _json(metadata, name) for name in ("model", "palette", "training", "progress")}
            config = parts.pop("model")
            config.setdefault("preprocessing", "scaled")  # older files lack this setting
            kinds = _json(metadata, "layers")
            if model is None:
                _check_claims(file, config, kinds)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("sha256") != _digest(arrays):
            raise CheckpointError("damaged: its arrays do not match their digest. Use another checkpoint of the run")
        model = build(**config) if model is None else model
        _check_layers(kinds, _kinds(model))
        optimizer = {name.removeprefix(OPTIMIZER): a for name, a in arrays.items() if name.startswith(OPTIMIZER)}
        weights = {name: array for name, array in arrays.items() if not name.startswith(OPTIMIZER)}
        for name, array in weights.items():
            if array.dtype.kind != "f":
                raise CheckpointError(f"{name} has dtype {array.dtype}, which is not floating-point")
            if not np.isfinite(array).all():
                raise CheckpointError(f"{name} contains values that are not finite. Use another checkpoint of the run")
        model.load_state(weights)
        found = Checkpoint(model, _palette(parts.pop("palette")), **parts, optimizer=optimizer)
        _ = found.prediction, found.class_weights, found.training_pictures  # they raise SettingError for other types
        return found
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (TinySegNetError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path}: damaged or of another version: {error}. Train it again") from error


def load_bundled(name: str) -> Network:
    """Return the bundled network with this name, such as "toy". Raises SettingError for an unknown name."""
    if name not in BUNDLED:
        raise SettingError(unknown_name("bundled network", name, BUNDLED))
    return read(BUNDLED[name]).model


def open_checkpoint(name: str | PathLike[str]) -> Checkpoint:
    """Read a checkpoint by path, or a bundled network by name if there is no such file. Raises CheckpointError."""
    name = fspath(name)
    if not Path(name).exists():
        if name in BUNDLED:
            return read(BUNDLED[name])
        if meant := did_you_mean(name, BUNDLED):
            raise CheckpointError(f"{name}: no such file.{meant}")
    return read(name)


def start_from(saved: Checkpoint, palette: Palette, *, seed: int = 0) -> tuple[Network, str]:
    """Build a network for the classes of `palette` with the weights of a trained network, and say what was kept.

    All weights are kept except the classifier, which is new unless the class names are the same in the same order. Two
    classes get a single logit if the trained network has one. `seed` is that of the new classifier and of dropout.
    Raises SettingError if the network was exported without batch norm, or is a custom network.
    """
    old = saved.model.config
    if old["name"] == CUSTOM or old.get("folded"):
        raise SettingError(f"{'a custom' if old['name'] == CUSTOM else 'a folded'} network cannot be fine-tuned. Give "
                           "a checkpoint that `train` wrote, such as best.safetensors")  # fmt: skip
    same = saved.palette.names == palette.names
    single = palette.num_classes == 2 and (old["num_classes"] == 1 or old["name"] == "article")
    channels = old["num_classes"] if same else 1 if single else palette.num_classes
    config = {**old, "seed": seed, "dtype": np.float32}
    other_count = 2 if channels == 1 else 1  # arrays whose shapes depend on it belong to the classifier
    model, other = (build(**config | {"num_classes": count}) for count in (channels, other_count))
    kept, others = saved.model.state(), other.state()
    for name, array in model.state().items():
        if same or array.shape == others[name].shape:
            array[...] = kept[name]
    new = "its classes are the same, so its classifier is kept" if same else "a new classifier"
    return model, f"starting from a trained {old['name']}, {saved.palette.num_classes} classes: {new}"


def _json(metadata: dict[str, str], name: str) -> dict[str, Any]:
    try:
        part = json.loads(metadata[name])
    except RecursionError as error:
        raise CheckpointError(f"its {name} is nested too deeply") from error
    if not isinstance(part, dict):
        raise CheckpointError(f"its {name} must be a JSON object, not {type(part).__name__}")
    return part


def _check_claims(file: Any, config: dict[str, Any], kinds: dict[str, str]) -> None:
    """Check the configuration and the number of values in the file before a network is built."""
    if config["name"] == CUSTOM:
        _check_layers(kinds, {})
    width, classes = float(config["width"]), config["num_classes"]
    if not 0 < width <= MAX_WIDTH or not isinstance(classes, int) or not 1 <= classes <= MAX_CLASSES:
        raise CheckpointError(f"it claims width {width} and {classes} classes, but widths up to {MAX_WIDTH} "
                              f"and 1..{MAX_CLASSES} classes are allowed")  # fmt: skip
    if config["name"] not in models:
        raise CheckpointError(f"the network {config['name']!r} is not one of {', '.join(models)}")
    expected = count_parameters(config["name"], classes, width)
    shapes = [file.get_slice(name).get_shape() for name in file.keys() if not name.startswith(OPTIMIZER)]  # noqa: SIM118
    found = sum(math.prod(shape) for shape in shapes)
    if 2 * found < expected:  # folding removes gamma and beta, which are less than half of them
        raise CheckpointError(f"it contains {found:,} values for a network of {expected:,} parameters")


def _kinds(model: Network) -> dict[str, str]:
    """Return the class name of each layer by the layer's name."""
    return {name: type(layer).__name__ for name, layer in model.layers.items()}


def _check_layers(saved: dict[str, str], own: dict[str, str]) -> None:
    for other in (name for name in saved | own if saved and saved.get(name) != own.get(name)):
        raise CheckpointError(f"the layer {other!r} was saved as {saved.get(other, 'absent')}, but it is "
                              f"{own.get(other, 'absent')} in the network. Build the same network and pass it: "
                              "tinysegnet.load(path, model=network)")  # fmt: skip


def _palette(values: dict[str, Any]) -> Palette:
    """Make a palette from JSON, which has lists instead of tuples."""
    names, colors = tuple(values["names"]), tuple(tuple(color) for color in values["colors"])
    return Palette(names, colors, values["ignore_label"], tuple(values["ignore_color"]))  # type: ignore[arg-type]


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
