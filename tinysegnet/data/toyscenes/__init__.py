"""An unlimited supply of drawn streets with exact labels (see `scenes`)."""

from .scenes import ToyScenes, draw_scene

__all__ = ["ToyScenes", "draw_scene"]
