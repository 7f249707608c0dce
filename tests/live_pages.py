"""Live pages for tests: checkpoints, and a page in a browser that is read as its user sees it."""

import io
import re

import numpy as np
from PIL import Image

from tinysegnet.data.picture_statistics import TrainingPictures
from tinysegnet.data.toyscenes import draw_scene
from tinysegnet.export.network_page import STREET, STREET_SIZE
from tinysegnet.weights.checkpoint import open_checkpoint

TIMEOUT = 60_000  # ms, for machines that are busy
HTML_NAMES = ("<b>land</b>", '"sea" & </script>')


def png(image):
    """Return a picture (H, W, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


class LivePage:
    """A live page in the browser. `complaints` lists its console messages, errors and requests."""

    def __init__(self, browser, path, **settings):
        self.context = browser.new_context(**settings)
        self.page, self.complaints = self.context.new_page(), []
        self.page.set_default_timeout(TIMEOUT)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._requested)
        self.address = f"file://{path}"
        self.page.goto(self.address)

    def _requested(self, request):
        if request.url != self.address and not request.url.startswith(
            ("data:", f"blob:{self.address[:7]}", "blob:null")
        ):
            self.complaints.append(request.url)

    def choose(self, name, content, kind="image/png"):
        self.page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": content})

    def transfer(self, event, name, content, kind="image/png"):
        """Drop or paste a file."""
        self.page.evaluate(
            """([event, name, bytes, kind]) => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
              const init = { bubbles: true, cancelable: true };
              dispatchEvent(event === "drop" ? new DragEvent(event, { ...init, dataTransfer: transfer })
                : new ClipboardEvent(event, { ...init, clipboardData: transfer }));
            }""",
            [event, name, list(content), kind],
        )

    def finished(self, name):
        """Wait until the picture with this name is segmented and nothing runs."""
        self.page.locator("#sizes", has_text=re.compile(rf"^{re.escape(name)}")).wait_for()
        self.page.locator("#work:not(.busy)").wait_for()
        return self

    def pixels(self, canvas):
        """Return a canvas as an array (H, W, 4) uint8."""
        text = self.page.evaluate(
            """(id) => {
              const canvas = document.getElementById(id), { width, height } = canvas;
              const copy = Object.assign(document.createElement("canvas"), { width, height });
              const context = copy.getContext("2d", { willReadFrequently: true });
              context.drawImage(canvas, 0, 0);
              const bytes = context.getImageData(0, 0, width, height).data;
              let text = "";
              for (let k = 0; k < bytes.length; k += 4096) text += String.fromCharCode(...bytes.subarray(k, k + 4096));
              return [height, width, text];
            }""",
            canvas,
        )
        return np.frombuffer(text[2].encode("latin-1"), np.uint8).reshape(*text[:2], 4)

    def labels(self, palette):
        """Return the labels (H, W) that the overlay shows. The colours of the palette must differ."""
        self.page.locator("#opacity").fill("100")
        shown = self.pixels("overlay")
        assert (shown[..., 3] == 255).all()
        codes = shown[..., :3].astype(int) @ [65536, 256, 1]
        table = {int(np.dot(color, [65536, 256, 1])): k for k, color in enumerate(palette.colors)}
        assert set(np.unique(codes).tolist()) <= set(table)
        return np.vectorize(table.__getitem__, otypes=[np.uint8])(codes)

    def problem(self):
        """Wait for the message about a problem, and return it."""
        message = self.page.locator("#problem")
        message.wait_for()
        return message.inner_text()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()
        if error[0] is None:
            assert self.complaints == [], self.complaints


def street(size=STREET_SIZE, number=STREET[1]):
    """Draw a street (H, W, 3). By default, it is the sample of the page."""
    return draw_scene(np.random.default_rng([STREET[0], number]), size)[0]


def toy():
    """Return the bundled network of the toy streets."""
    return open_checkpoint("toy")


def unknown_pictures():
    """Return statistics of training pictures that no picture of the tests resembles."""
    return TrainingPictures((50.0,) * 9, (0.1,) * 9, 100)
