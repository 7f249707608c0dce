"""Pages of walks for tests: small networks of every kind, and what a page says, read without a browser."""

import base64
import json
import re
import time
import zlib

import numpy as np

import tinysegnet as ts

SIZE = (24, 32)
rng = np.random.default_rng(5)
IMAGE = rng.integers(0, 256, (*SIZE, 3), np.uint8)
FIVE = ts.data.Palette(("sky & sea", "<b>land</b>", "boat", "gull", "Straße"),
                       ((10, 90, 200), (60, 120, 40), (200, 60, 30), (240, 240, 240), (90, 90, 90)), 255)  # fmt: skip


def lively(name, num_classes=5, *, width=1 / 16, dtype=np.float32):
    """A small network whose batch norms have statistics, scales and shifts of their own, as after a training."""
    model, rng = ts.build(name, num_classes, width=width, dtype=dtype), np.random.default_rng(1)
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


def labels_for(model, size=SIZE, *, void=255):
    """Random labels in blocks, some of them void."""
    labels = np.random.default_rng(2).integers(0, model.num_classes, (-(-size[0] // 4), -(-size[1] // 4)))
    labels = labels.repeat(4, 0).repeat(4, 1)[: size[0], : size[1]].astype(np.uint8)
    labels[:3, :5] = void
    return labels


class Page:
    """What the scripts of a page would see."""

    def __init__(self, page):
        self.text = page
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])

    def bytes(self, number):
        return zlib.decompress(base64.b64decode(re.search(rf'id="blob{number}">(.*?)</script>', self.text)[1]))

    def numbers(self, blob):
        planes = np.frombuffer(self.bytes(blob), np.uint8).reshape(4, -1)
        return np.ascontiguousarray(planes.T).view("<f4").reshape(-1)

    def tensor(self, number):
        """(H, W, channels) float64, NaN where the page does not know the number exactly."""
        about = self.data["tensors"][number]
        H, W, _ = about["shape"]
        mask = np.unpackbits(np.frombuffer(self.bytes(about["known"]["mask"]), np.uint8))[: H * W].astype(bool)
        found = np.full((H * W, about["known"]["channels"]), np.nan)
        found[mask] = self.numbers(about["known"]["numbers"]).reshape(-1, about["known"]["channels"])
        return found.reshape(H, W, -1)

    def planes(self, number):
        """(shown, H, W): the 8-bit pictures as numbers."""
        about = self.data["tensors"][number]
        H, W, _ = about["shape"]
        steps = np.frombuffer(self.bytes(about["planes"]), np.uint8).reshape(-1, H, W)
        steps = np.cumsum(steps, 2, dtype=np.uint8) if about["differences"] else steps
        return steps.view(np.int8) / 127 * np.array(about["scales"])[:, None, None]

    def node(self, name):
        return next(node for node in self.data["nodes"] if node["name"] == name)


# What tests call in a page: names that its modules export.
NAMES = {
    "walk/channels.js": "chooseChannel",
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
    """The value of an expression with the names of the page's modules, in a page or a frame."""
    return frame.evaluate(f"async () => {{ {IMPORTS} return {expression}; }}")


class Opened:
    """A page in the browser; `complaints` has what it said to the console, and what it asked the network for.

    is_walk: wait until its first step is drawn.
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
        """The value of an expression with the names of the page's modules; a promise's when it is there."""
        return evaluate(self.page, expression)

    def wait_for_step(self, step):
        """Until this step is shown."""
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
        """The step is drawn."""
        self.evaluate("go(state.step)")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()
        if error[0] is None:
            assert self.complaints == []
