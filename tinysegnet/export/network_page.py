"""A page that runs a network in a web browser: one HTML file that works offline and makes no requests.

The page segments pictures, drawings and the frames of a camera. Its forward pass is `page_source/forward.js`; the other
scripts there are its interface.
"""

import base64
from importlib.resources import files

import numpy as np
from PIL import Image

from ..data import CAMVID
from ..data.toyscenes import draw_scene
from ..report.page_parts import render_script_page
from ..viz import picture_bytes
from ..viz.image_bytes import data_uri
from ..viz.legend import class_name
from ..weights.checkpoint import Checkpoint
from .network_data import describe_network

SOURCE = files(__package__) / "page_source"  # template, style and ES modules
MODULES = ("payload", "resample", "familiar", "forward", "passes", "worker", "runner", "sources", "drawing", "overlay",
           "pointer", "legend", "readout", "stages", "main")  # fmt: skip
STREET = 9, 8  # seed and number of the drawn street that comes with networks of streets
STREET_SIZE = 384, 512
FAMILIAR = 2.0  # standard deviations from the training pictures


def build_live_page(loaded: Checkpoint) -> str:
    """Return the page of a network, with its palette and what is known of its training pictures.

    Raises SettingError if the page cannot run a layer of the network, or a weight is not finite.
    """
    network, weights = describe_network(loaded.model, loaded.palette, size=loaded.size)
    for k, described in enumerate(network["classes"]):
        described["name"] = class_name(loaded.palette, k)
    known = loaded.training_pictures
    data = {
        "title": f"{network['name']} in your browser",
        "network": network,
        "sample": _sample(loaded),
        "known": None if known is None else {"mean": known.mean, "std": known.std, "count": known.count},
    }
    prediction = loaded.prediction
    return render_script_page(
        __package__,
        {f"live/{name}.js": SOURCE / f"{name}.js" for name in MODULES},
        "live.css",
        data=data,
        weights=base64.b64encode(weights).decode(),
        wasm=base64.b64encode((SOURCE / "kernels.wasm").read_bytes()).decode(),
        averaged=prediction["mirror"] or prediction["scales"] != (1.0,),
    )


def _sample(loaded: Checkpoint) -> str | None:
    """Return a drawn street as a data URI if the network's training pictures were such streets."""
    known = loaded.training_pictures
    if known is None or loaded.palette.names != CAMVID.names:
        return None
    image, _ = draw_scene(np.random.default_rng(STREET), STREET_SIZE)
    return data_uri("png", picture_bytes(Image.fromarray(image))) if known.deviation(image)[0] < FAMILIAR else None
