"""Pretrained convolutions of VGG16 as the encoder of the network "vgg16".

The page lessons/site/pages/pretrained_encoders.md lists the files, the names of their arrays and their preprocessing.
Kernels are (F, C, K, K) in torch, and (K, K, C, F) in Keras and here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike, fspath
from typing import NamedTuple

import numpy as np

from ..errors import CheckpointError, SettingError
from ..models import Network, check_network
from ..models.segnet import vgg16
from .weight_files import read_arrays

HED = "HED (VGG16 fine-tuned for edges)"
# (stage, number within the stage) of the 13 convolutions, both from 1, in the order of the network
CONVOLUTIONS = [(s, n) for s, widths in enumerate(vgg16().encoder, start=1) for n in range(1, len(widths) + 1)]
STATISTICS = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}
IGNORED = re.compile(
    r"(classifier|pre_logits\.fc\d|head\.fc)\..+"
    r"|features\.\d+\.num_batches_tracked"
    r"|(model_weights/)?(fc\d|predictions)/.+|(layers|_layer_checkpoint_dependencies)/dense(_\d)?/vars/\d"
    r"|(dsn[1-5]|fuse)/vars/[01]"
)
ANY = "(?:layers|_layer_checkpoint_dependencies)"
KERAS = (  # one pattern per version of Keras
    r"(?:model_weights/)?block(?P<stage>\d)_conv(?P<n>\d)/(?:.+/)?(?:block\1_conv\2_)?(?P<key>kernel|W|bias|b)(_1)?(:0)?",
    ANY + r"/block(?P<stage>\d)_conv(?P<n>\d)/vars/(?P<key>[01])",
    ANY + r"/conv2d(?:_(?P<place>\d+))?/vars/(?P<key>[01])",
)
KERAS_HED = r"block(?P<stage>\d)/layers/conv2d(?:_(?P<place>\d))?/vars/(?P<key>[01])"


@dataclass(frozen=True)
class Encoder:
    """The arrays that `load_encoder` loaded, and those that it ignored."""

    source: str
    preprocessing: str
    loaded: tuple[str, ...]  # names in the network
    ignored: tuple[str, ...]  # names in the file

    def __str__(self) -> str:
        convolutions = sum(re.search(r"conv\d\.weight$", name) is not None for name in self.loaded)
        norms = sum(name.endswith(".gamma") for name in self.loaded)
        what = f"{convolutions} convolutions" + (f" and {norms} batch norms" if norms else "")
        ignored = ", ".join(self.ignored) or "nothing"
        return f'encoder: {what} from {self.source}, with preprocessing "{self.preprocessing}"\nignored: {ignored}'


class _Source(NamedTuple):
    title: str
    preprocessing: str
    names: dict[str, str]  # from the names in the file to ours
    torch_layout: bool = True


def load_encoder(model: Network, path: str | PathLike[str]) -> Encoder:
    """Load a pretrained VGG16 into the encoder of a network built as "vgg16", in place.

    The file must contain every array of the encoder in the right shape, and may contain nothing else but a classifier.

    VGG16 has no batch norm, so the network's batch norms are set to the identity in inference: each convolution then
    computes the same as in VGG16. Training uses batch statistics, so it starts with VGG16's filters but with mean 0 and
    variance 1 in each channel. Files of vgg16_bn contain gamma, beta and statistics.

    Args:
        model: a network "vgg16", built with the preprocessing that `encoder_preprocessing` returns.
        path: a file from one of the sources above.

    Raises:
        SettingError: the network is not a "vgg16", or was built with another preprocessing.
        CheckpointError: the source is unknown, or an array is missing, unexpected or of the wrong shape.
    """
    check_network(model)
    names: list[str] = []

    def keep(name: str) -> bool:
        names.append(name)
        return not IGNORED.fullmatch(name)

    arrays = read_arrays(path, keep=keep)
    try:
        source = _recognize(names)
        _check_fits(model, source)
        found = _matched(model, source, arrays)
    except (CheckpointError, SettingError) as error:
        raise type(error)(f"{fspath(path)}: {error}") from error
    state = model.state()
    for name, array in found.items():
        state[name][...] = array
    if not any(name.endswith(".gamma") for name in found):
        for name, layer in model.layers.items():
            if name.startswith("encoder"):
                layer.make_identity()
    ignored = tuple(name for name in names if name not in arrays)
    return Encoder(source.title, source.preprocessing, tuple(found), ignored)


def encoder_preprocessing(weights: str | PathLike[str] | Iterable[str]) -> str:
    """Return the preprocessing with which an encoder was trained, "imagenet" or "caffe", for `build`.

    `weights` is a file, or the names of its arrays. Raises CheckpointError for an unknown source.
    """
    if not isinstance(weights, str | PathLike):
        return _recognize(list(weights)).preprocessing
    names: list[str] = []
    read_arrays(weights, keep=names.append)  # append returns None, so only the names are read
    try:
        return _recognize(names).preprocessing
    except CheckpointError as error:
        raise CheckpointError(f"{fspath(weights)}: {error}") from error


def _recognize(names: list[str]) -> _Source:
    if any(name.startswith("features.") for name in names):
        norms = any(name.endswith(".running_mean") for name in names)
        return _Source("torchvision's vgg16_bn" if norms else "torchvision's vgg16", "imagenet", _features(norms))
    if keras := {name: own for name in names if (own := _keras(name))}:
        title = HED if any(re.fullmatch(KERAS_HED, name) for name in names) else "Keras's VGG16"
        usual = {f"block{stage}_conv{n} {key}": f"encoder{stage}.conv{n}.{own}" for stage, n in CONVOLUTIONS
                 for key, own in (("kernel", "weight"), ("bias", "bias"))}  # fmt: skip
        return _Source(title, "caffe", usual | keras, torch_layout=False)
    first = f"its first array is {names[0]}" if names else "it has no arrays"
    raise CheckpointError(f"unknown VGG16: {first}. Give a file with features.0.weight (torchvision) or block1_conv1 "
                          "(Keras)")  # fmt: skip


def _features(norms: bool) -> dict[str, str]:
    """Map torchvision's names, which number convolutions, batch norms, ReLUs and pools in sequence, to ours."""
    names: dict[str, str] = {}
    place = 0
    for stage, n in CONVOLUTIONS:
        place += stage > 1 and n == 1  # each stage but the first begins with a pool
        names |= {f"features.{place}.{key}": f"encoder{stage}.conv{n}.{key}" for key in ("weight", "bias")}
        if norms:
            names |= {f"features.{place + 1}.{key}": f"encoder{stage}.bn{n}.{own}" for key, own in STATISTICS.items()}
        place += 2 + norms
    return names


def _keras(name: str) -> str | None:
    match = next((match for form in (*KERAS, KERAS_HED) if (match := re.fullmatch(form, name))), None)
    if match is None:
        return None
    found = match.groupdict()
    place = int(found.get("place") or 0)
    convolution = found.get("stage"), found.get("n", place + 1)
    if "stage" not in found:  # numbered among all convolutions
        if place >= len(CONVOLUTIONS):
            return None
        convolution = CONVOLUTIONS[place]
    return "encoder{}.conv{}.{}".format(*convolution, "weight" if found["key"] in ("kernel", "W", "0") else "bias")


def _check_fits(model: Network, source: _Source) -> None:
    """Raise SettingError unless the network has the same 13 convolutions and the same preprocessing."""
    own = {name for name in model.state() if name.startswith("encoder") and ".conv" in name}
    if own != {f"encoder{stage}.conv{n}.{key}" for stage, n in CONVOLUTIONS for key in ("weight", "bias")}:
        raise SettingError(f'a VGG16 encoder does not fit the network {model.config.get("name")!r}. Build "vgg16"')
    pictures = model.config.get("preprocessing", "scaled")
    if pictures != source.preprocessing:
        raise SettingError(f'{source.title} needs preprocessing "{source.preprocessing}", but the network has '
                           f'"{pictures}". Build it with preprocessing="{source.preprocessing}"')  # fmt: skip


def _matched(model: Network, source: _Source, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the file's arrays under our names and in our layout. Raises CheckpointError with a list of all faults."""
    in_file = {name: theirs for theirs, name in source.names.items()}
    own = {name: array for name, array in model.state().items() if name in in_file}
    found: dict[str, np.ndarray] = {}
    wrong = []
    for theirs, array in arrays.items():
        name = source.names.get(theirs, "")
        if name not in own or name in found:
            wrong.append(f"unexpected {theirs}")
            continue
        found[name] = array.transpose(2, 3, 1, 0) if source.torch_layout and array.ndim == 4 else array
        if fault := _fault(theirs, array, found[name], own[name], source):
            wrong.append(f"{theirs} {fault}")
    wrong += [f"missing {in_file[name]}" for name in own if name not in found]
    if wrong:
        raise CheckpointError(f"{source.title} does not fit this network: {'; '.join(wrong)}. Give the file as it "
                              "was published")  # fmt: skip
    return {name: found[name] for name in own}


def _fault(theirs: str, array: np.ndarray, ours: np.ndarray, own: np.ndarray, source: _Source) -> str | None:
    if ours.shape != own.shape:
        expected = own.transpose(3, 2, 0, 1) if source.torch_layout and own.ndim == 4 else own
        return f"has shape {array.shape}, expected {expected.shape}"
    if array.dtype.kind != "f":
        return f"has dtype {array.dtype}, which is not floating-point"
    with np.errstate(over="ignore"):
        if not np.isfinite(array.astype(own.dtype)).all():
            return "contains values that are not finite"
    return "has negative values" if theirs.endswith(".running_var") and (array < 0).any() else None
