"""Toy scenes: streets drawn with exact labels, without end (see `scenes`)."""

from .scenes import ToyScenes, draw_scene

__all__ = ["ToyScenes", "draw_scene"]
