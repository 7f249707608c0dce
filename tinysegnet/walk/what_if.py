"""The network as data for the page's own forward pass, with which a reader tries changes."""

import base64
from importlib.resources import files
from typing import Any

import numpy as np

from ..data import Palette
from ..errors import SettingError
from ..export.network_data import describe_network
from ..models import Network
from .payload import Blobs, TooLarge

FORWARD = files("tinysegnet.export") / "page_source"


def pack_network(model: Network, palette: Palette, blobs: Blobs) -> dict[str, Any] | None:
    """Add the network's weights to the blobs, and return what the page needs to run it.

    Return None if the page cannot run the network, because it has layers of other classes, weights that are not finite
    or more weights than fit.
    """
    try:
        description, weights = describe_network(model, palette, half=False)
        if len(weights) > blobs.max_bytes - blobs.size:
            return None
        values = blobs.numbers(np.frombuffer(weights, "<f4"))
    except (SettingError, TooLarge):
        return None
    return {"description": description, "weights": values,
            "kernels": base64.b64encode((FORWARD / "kernels.wasm").read_bytes()).decode()}  # fmt: skip
