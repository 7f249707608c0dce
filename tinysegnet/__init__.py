"""tinysegnet: SegNet from NumPy up, with every gradient derived by hand and checked.

import tinysegnet as ts
model = ts.build("tiny", num_classes=11)
logits = model.forward(pictures, training=True)

A file imports only from its own folder and from folders above it in this list.

    tinysegnet/
        errors.py      exception types; every message says what to do
        files.py       atomic writes, so that no file is lost
        runtime/       compiling, the kernel cache, memory, threads, settings, distributed work
        ops/           the mathematics: definitions in NumPy, fast versions in numba
        gradcheck/     checks backward passes with finite differences
        layers/        ops with parameters; a tape stores the state of a call
        metrics/       confusion matrix, scores, boundary F1, confidence intervals, baselines
        models/        SegNet, its variants, the papers' other decoders; summary, receptive field, folding
        data/          drawn toy streets, folders of pictures, label encodings, augmentation, batches
        weights/       checkpoints; files of PyTorch, Keras and safetensors; the bundled network
        viz/           the figures of commands and reports
        prediction/    turns pictures into label maps; test-time averaging, sampling, evaluation
        training/      optimizers, schedules, recipes, the training loop, the run folder
        report/        the HTML report of a run
        export/        trained networks for other programs: ONNX files, a page that runs a network
        walk/          a page that shows what a network computes, layer by layer
        bench/         benchmarks against other libraries, and a profile of a training step
        cli/           the commands, one file each, and one for `tinysegnet data`
"""

from .runtime.lazy_imports import import_lazily

__version__ = "0.2.0"

import_lazily(__name__)  # the public names

# The names of version 0.1 still work, with a warning.
_OLD_NAMES = {"load_ready": "load_bundled", "predict_with_doubt": "predict_with_uncertainty"}


def __getattr__(name: str) -> object:
    if name not in _OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys
    from warnings import warn

    warn(f"tinysegnet.{name} is now called {_OLD_NAMES[name]}", DeprecationWarning, stacklevel=2)
    return getattr(sys.modules[__name__], _OLD_NAMES[name])
