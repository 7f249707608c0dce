"""The part of `tinysegnet predict` that segments videos and cameras."""

from __future__ import annotations

import math
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from cyclopts.types import NonNegativeInt, PositiveFloat, PositiveInt
from cyclopts.validators import Number

from ..errors import DataError, SettingError, TinySegNetError
from ..runtime.progress import say, track
from .prediction_options import UnfamiliarPictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from ..prediction.segment_files import Segmenter
    from ..prediction.smoothing import SmoothedPrediction
    from ..prediction.video_files import VideoReader
    from ..viz.frame_composer import FrameComposer

LEGIBLE = 480  # pixels; frames whose longer side is shorter are enlarged in the overlay
COMPARED = 100  # every 100th frame is compared with the network's training pictures


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """The options for videos and cameras."""

    camera: Annotated[NonNegativeInt | None, Parameter(metavar="N")] = None
    """Segment what a camera sees, until you press Ctrl-C. The first camera is 0."""
    seconds: Annotated[PositiveFloat | None, Parameter(metavar="NUMBER")] = None
    """Stop after this many seconds of each video."""
    every: PositiveInt = 1
    """Segment and write only every Nth frame. These frames keep their times."""
    smooth: Annotated[float, Parameter(validator=Number(gte=0, lt=1), metavar="NUMBER")] = 0.0
    """Average the probabilities of the classes over time: the average so far has this weight, from 0 to below 1, and
    each new frame has the rest."""
    frames: bool = False
    """Write the files NUMBER_overlay.png and NUMBER_labels.png of each frame to the folder STEM_frames, and no video.
    The first frame is 000000."""

    def sources(self, videos: list[Path], **given: bool) -> list[Path | int]:
        """Return the videos and the camera. Raises SettingError if other options do not fit them."""
        sources = [*videos, *([] if self.camera is None else [self.camera])]
        if not sources and self != VideoOptions():
            raise SettingError("--seconds, --every, --smooth and --frames are for videos. Name a video or a --camera")
        for name in (name for name, wanted in given.items() if sources and wanted):
            raise SettingError(f"--{name} is only for pictures. Leave it out, or leave out videos and cameras")
        return sources


Video = Annotated[VideoOptions, Parameter(name="*", group=Group("Videos and cameras", sort_key=4))]


def predict_videos(
    sources: list[Path | int],
    stems: list[str],
    segmenter: Segmenter,
    video: VideoOptions,
    unfamiliar: UnfamiliarPictures,
) -> int:
    """Segment videos and cameras, one after the other.

    Returns the exit code: 0, or 1 if a video is damaged or failed, or 2 if nothing was written.
    """
    from ..prediction.video_files import import_av

    try:
        av, complete, failed = import_av(), 0, 0
    except SettingError as error:
        say(f"error: {error}")
        return 2
    for source, stem in zip(sources, stems, strict=True):
        try:
            complete += _predict_video(source, stem, segmenter, video, unfamiliar)
        except (TinySegNetError, av.FFmpegError) as error:
            if isinstance(error, OSError):  # such as a full disk
                raise
            say(f"error: {error if isinstance(error, TinySegNetError) else f'{source}: {error}'}")
            failed += 1
    return 0 if complete == len(sources) else 2 if failed == len(sources) else 1


def _predict_video(
    source: Path | int, stem: str, segmenter: Segmenter, video: VideoOptions, unfamiliar: UnfamiliarPictures
) -> bool:
    """Segment one video, and return whether it is undamaged. Ctrl-C keeps the frames so far, in a complete file."""
    from ..prediction.video_files import FrameFiles, VideoReader, writing_video
    from ..viz.frame_composer import FrameComposer

    palette, out = segmenter.palette, segmenter.settings.out
    target = out / (f"{stem}_frames" if video.frames else f"{stem}_overlay.mp4")
    began, written, interrupted = time.perf_counter(), 0, False
    composer: FrameComposer | None = None
    with VideoReader(source) as reader, (
        nullcontext(FrameFiles(target, palette)) if video.frames else writing_video(target, reader)
    ) as writer:  # fmt: skip
        try:
            for number, moment, image, labels in _segmented(reader, writer.add_sound, segmenter, video):
                if composer is None:
                    H, W = labels.shape
                    enlarged = max(1, -(-LEGIBLE // max(H, W)))
                    composer = FrameComposer(palette, (enlarged * H, enlarged * W))
                writer.write(number, moment, composer.frame(image, labels), labels)
                if written % COMPARED == 0:
                    unfamiliar.add(f"{reader.name}, frame {number}", image)
                written += 1
        except KeyboardInterrupt:
            interrupted = True
        if interrupted and not written:
            raise KeyboardInterrupt
        if not written:
            raise DataError(f"{reader.name}: no frame can be decoded. Replace the file")
    seconds = time.perf_counter() - began
    say(str(target), sys.stdout)
    say(f"{reader.name}: {written} frames in {seconds:.1f} s, {written / seconds:.1f} frames per second")
    if writer.dropped_sound:
        say(f"{reader.name}: the sound was dropped, because its codec {writer.dropped_sound} does not fit into MP4")
    if reader.damage:
        say(f"error: {reader.name}: {reader.damage}. {reader.decoded} frames were decoded, and the rest is damaged")
    if interrupted and reader.is_file:
        say(f"{target} contains the frames before the interruption. The same command segments the whole video.")
        raise KeyboardInterrupt
    return not reader.damage


def _segmented(
    reader: VideoReader, on_sound: Callable[[Any], None], segmenter: Segmenter, video: VideoOptions
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Yield the number, the time, the picture and the labels of each frame that is wanted."""
    total, predictor = reader.total, None
    if video.seconds is not None:
        total = min(total or sys.maxsize, math.ceil(video.seconds * reader.rate))
    frames = track(f"predicting {reader.name}", total)(reader.frames(on_sound))
    for number, (moment, frame) in enumerate(frames):
        if video.seconds is not None and moment * reader.time_base >= video.seconds:
            return
        if number % video.every == 0:
            image = reader.upright(frame)
            predictor = predictor or _predictor(reader.name, image.shape[:2], segmenter, video.smooth)
            yield number, moment, image, predictor.labels(image)


def _predictor(name: str, shape: tuple[int, int], segmenter: Segmenter, smooth: float) -> SmoothedPrediction:
    """Prepare the prediction of frames of this (H, W). Raises SettingError if they would need too much memory."""
    from ..prediction.predict import network_size
    from ..prediction.segment_files import MAX_WORKING_PIXELS
    from ..prediction.smoothing import SmoothedPrediction

    settings, model = segmenter.settings, segmenter.checkpoint.model
    H, W = segmenter.checkpoint.size or shape
    size = max(1, round(H * settings.scale)), max(1, round(W * settings.scale))
    h, w = network_size(model, shape, size, max(settings.averaging.get("scales", (1.0,))))
    if h * w > MAX_WORKING_PIXELS:
        raise SettingError(f"{name}: {h} x {w} pixels are too many for the network. Give a smaller --scale")
    return SmoothedPrediction(model, smooth, samples=settings.samples, size=size, **settings.averaging)
