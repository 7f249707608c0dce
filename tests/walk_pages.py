"""Walks for tests: small networks of every kind, and pages that are read with or without a browser."""

import base64
import json
import re
import time
import zlib

import numpy as np
from forms import amount

import tinysegnet as ts

SIZE = (24, 32)
EVERY_KIND = "every kind"
NETWORKS = amount((EVERY_KIND, "article", "tiny"), (EVERY_KIND, *ts.models))
rng = np.random.default_rng(5)
IMAGE = rng.integers(0, 256, (*SIZE, 3), np.uint8)
FIVE = ts.data.Palette(("sky & sea", "<b>land</b>", "boat", "gull", "Straße"),
                       ((10, 90, 200), (60, 120, 40), (200, 60, 30), (240, 240, 240), (90, 90, 90)), 255)  # fmt: skip


def lively(name, num_classes=5, *, width=1 / 16, dtype=np.float32):
    """Build a small network with statistics, scales, shifts and biases as after training."""
    return enlivened(ts.build(name, num_classes, width=width, dtype=dtype))


def enlivened(model):
    """Give the network random statistics, scales, shifts and biases, as after training."""
    rng = np.random.default_rng(1)
    for layer in model.layers.values():
        if isinstance(layer, ts.layers.BatchNorm2d):
            for array, low in ((layer.params["gamma"], 0.5), (layer.params["beta"], -0.5)):
                array[:] = rng.uniform(low, 1.5, array.shape)
            layer.buffers["running_mean"][:] = rng.normal(0, 0.3, array.shape)
            layer.buffers["running_var"][:] = rng.uniform(0.5, 2, array.shape)
    for name, array in model.named_parameters():
        if name.endswith("bias"):
            array[:] = rng.normal(0, 0.1, array.shape)
    return model


def every_kind(dtype=np.float32):
    """Build a network of five classes with one layer of every kind."""
    rng, layers = np.random.default_rng(7), ts.layers
    first, second, third, fourth, fifth = (layers.MaxPool2d() for _ in range(5))
    through, plain = layers.SkipSource(layers.Conv2d(6, 4, 1, rng=rng, dtype=dtype)), layers.SkipSource()
    kinds = [
        layers.Normalize([110.0, 120, 130], 60.0, bgr=True, dtype=dtype), layers.LocalResponseNorm(),
        layers.Conv2d(3, 6, 3, bias=False, rng=rng, dtype=dtype), layers.BatchNorm2d(6, dtype=dtype), layers.ReLU(),
        layers.DepthwiseConv2d(6, 3, rng=rng, dtype=dtype), through, first, layers.Dropout(0.5),
        layers.Conv2d(6, 4, 7, rng=rng, dtype=dtype), plain, second, layers.MaxUnpool2d(second), layers.SkipAdd(plain),
        third, layers.FixedUnpool2d(third), fourth, layers.Upsample("bilinear", pool=fourth), fifth,
        layers.Upsample("nearest", pool=fifth),
        layers.ConvTranspose2d(4, 4, 4, stride=2, pool=first, rng=rng, dtype=dtype), layers.SkipAdd(through),
        layers.Conv2d(4, 5, 1, rng=rng, dtype=dtype),
    ]  # fmt: skip
    model = ts.Network({f"layer{k}.{type(layer).__name__.lower()}": layer for k, layer in enumerate(kinds)})
    return enlivened(model)


def network(name, **settings):
    """Build a network by its name, or the one called EVERY_KIND; the article's network has one logit."""
    return every_kind(**settings) if name == EVERY_KIND else lively(name, 1 if name == "article" else 5, **settings)


def labels_for(model, size=SIZE, *, void=255):
    """Create random labels in blocks, some of them void."""
    labels = np.random.default_rng(2).integers(0, model.num_classes, (-(-size[0] // 4), -(-size[1] // 4)))
    labels = labels.repeat(4, 0).repeat(4, 1)[: size[0], : size[1]].astype(np.uint8)
    labels[:3, :5] = void
    return labels


class Page:
    """The data of a page as its scripts see it."""

    def __init__(self, page):
        self.text = page
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])

    def bytes(self, number):
        return zlib.decompress(base64.b64decode(re.search(rf'id="blob{number}">(.*?)</script>', self.text)[1]))

    def numbers(self, blob):
        planes = np.frombuffer(self.bytes(blob), np.uint8).reshape(4, -1)
        return np.ascontiguousarray(planes.T).view("<f4").reshape(-1)

    def tensor(self, number):
        """Return (H, W, channels) float64, with NaN where the page does not contain the exact number."""
        about = self.data["tensors"][number]
        H, W, _ = about["shape"]
        mask = np.unpackbits(np.frombuffer(self.bytes(about["known"]["mask"]), np.uint8))[: H * W].astype(bool)
        found = np.full((H * W, about["known"]["channels"]), np.nan)
        found[mask] = self.numbers(about["known"]["numbers"]).reshape(-1, about["known"]["channels"])
        return found.reshape(H, W, -1)

    def planes(self, number):
        """Return the 8-bit pictures as numbers, (shown, H, W)."""
        about = self.data["tensors"][number]
        H, W, _ = about["shape"]
        steps = np.frombuffer(self.bytes(about["planes"]), np.uint8).reshape(-1, H, W)
        steps = np.cumsum(steps, 2, dtype=np.uint8) if about["differences"] else steps
        return steps.view(np.int8) / 127 * np.array(about["scales"])[:, None, None]

    def node(self, name):
        return next(node for node in self.data["nodes"] if node["name"] == name)


# The exported names that tests use, by module.
NAMES = {
    "walk/channels.js": "chooseChannel",
    "walk/computable.js": "isComputable, whenLoaded",
    "walk/links.js": "explainableMaker",
    "walk/explain.js": "explain",
    "walk/main.js": "ready",
    "walk/navigation.js": "go",
    "walk/state.js": "redraw, state",
    "walk/steps.js": "resultOf, steps",
    "walk/store.js": "nodeOf, pixelAt",
}
IMPORTS = " ".join(f'const {{ {names} }} = await import("{module}");' for module, names in NAMES.items())


def evaluate(frame, expression):
    """Evaluate an expression with NAMES in a page or a frame."""
    return frame.evaluate(f"async () => {{ {IMPORTS} return {expression}; }}")


class Opened:
    """A page in the browser. `complaints` lists its console messages, errors and requests.

    is_walk: wait until the first step is drawn.
    """

    def __init__(self, browser, path, *, address="", is_walk=True, **settings):
        self.context = browser.new_context(**settings)
        self.page, self.complaints = self.context.new_page(), []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._requested)
        self.path = path
        self.page.goto(f"file://{path}{address}")
        if is_walk:
            self.evaluate("ready")

    def _requested(self, request):
        if request.url.split("#")[0] != f"file://{self.path}":
            self.complaints.append(request.url)

    def evaluate(self, expression):
        """Evaluate an expression with NAMES, and wait for it if it is a promise."""
        return evaluate(self.page, expression)

    def wait_for_step(self, step):
        """Wait until this step is shown."""
        deadline = time.monotonic() + 30
        while self.step != step:
            assert time.monotonic() < deadline, f"{self.step}, not {step}"
            self.page.wait_for_timeout(20)

    @property
    def step(self):
        return self.evaluate("steps[state.step].id")

    @property
    def count(self):
        return self.evaluate("steps.length")

    def settled(self):
        """Wait until the step is drawn."""
        self.evaluate("go(state.step)")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()
        if error[0] is None:
            assert self.complaints == []
