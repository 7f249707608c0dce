"""The part of `tinysegnet predict` that segments videos and cameras."""

from __future__ import annotations

import math
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from cyclopts.types import NonNegativeInt, PositiveFloat, PositiveInt
from cyclopts.validators import Number

from ..errors import DataError, SettingError, TinySegNetError
from ..files import new_file, write_atomically
from ..runtime.progress import say, track
from .prediction_options import PredictionOptions, UnfamiliarPictures

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ..weights.checkpoint import Checkpoint

LEGIBLE = 480  # pixels; frames whose longer side is shorter are enlarged in the overlay
FAMILIAR = 100  # every 100th frame is compared with the network's training pictures


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """The options for videos and cameras."""

    camera: Annotated[NonNegativeInt | None, Parameter(metavar="N")] = None
    """Segment what this camera sees, from 0 for the first camera, until you press Ctrl-C."""
    seconds: Annotated[PositiveFloat | None, Parameter(metavar="NUMBER")] = None
    """Stop after this many seconds of each video, or of the camera."""
    every: PositiveInt = 1
    """Segment only each Nth frame. The times of these frames do not change."""
    smooth: Annotated[float, Parameter(validator=Number(gte=0, lt=1), metavar="NUMBER")] = 0.0
    """Average the probabilities of the classes over time: this weight, below 1, belongs to the average of the earlier
    frames, and the rest to the present frame."""
    frames: bool = False
    """Write PNG files into the folder STEM_frames, instead of a video: NUMBER_overlay.png and NUMBER_labels.png."""


Video = Annotated[VideoOptions, Parameter(name="*", group=Group("Videos", sort_key=4))]


@dataclass(frozen=True, kw_only=True)
class VideoPredictor:
    """Segments videos with one network and one set of options."""

    loaded: Checkpoint
    scale: float
    options: PredictionOptions
    video: VideoOptions
    unfamiliar: UnfamiliarPictures

    def run(self, sources: list[Path | int], stems: list[str], out: Path) -> int:
        """Segment videos and cameras. Returns the exit code: 0, 1 if something failed, or 2 if nothing was written."""
        from ..prediction.video_files import import_av

        av, complete, failed = import_av(), 0, 0
        for source, stem in zip(sources, stems, strict=True):
            try:
                complete += self._predict(source, stem, out)
            except (TinySegNetError, av.FFmpegError) as error:
                if isinstance(error, OSError):
                    raise
                say(f"error: {error if isinstance(error, TinySegNetError) else f'{source}: {error}'}")
                failed += 1
        return 0 if complete == len(sources) else 2 if failed == len(sources) else 1

    def _predict(self, source: Path | int, stem: str, out: Path) -> bool:
        """Segment one video. Returns whether all of it was segmented."""
        from ..prediction.video_files import VideoReader, VideoWriter

        began, written, stopped = time.perf_counter(), 0, False
        target = out / (f"{stem}_frames" if self.video.frames else f"{stem}_overlay.mp4")
        with ExitStack() as stack:
            reader = stack.enter_context(VideoReader(source))
            writer: Any
            if self.video.frames:
                writer = FrameFiles(target)
            else:
                writer = VideoWriter(stack.enter_context(new_file(target)), reader)
            ...
