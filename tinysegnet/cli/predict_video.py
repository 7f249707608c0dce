"""The part of `tinysegnet predict` that segments videos and cameras."""

from __future__ import annotations

import math
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from cyclopts.types import NonNegativeInt, PositiveFloat, PositiveInt
from cyclopts.validators import Number

from ..errors import DataError, SettingError, TinySegNetError
from ..files import new_file, write_atomically
from ..runtime.progress import say, track
from .prediction_options import UnfamiliarPictures

if TYPE_CHECKING:
    from ..prediction.segment_files import Segmenter

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
        sources: list[Path | int] = [*videos, *([] if self.camera is None else [self.camera])]
        if not sources and self != VideoOptions():
            raise SettingError("--seconds, --every, --smooth and --frames are for videos. Name a video or a --camera")
        for name in (name for name, wanted in given.items() if sources and wanted):
            raise SettingError(f"--{name} is only for pictures. Leave it out, or leave out videos and cameras")
        return sources


Video = Annotated[VideoOptions, Parameter(name="*", group=Group("Videos and cameras", sort_key=4))]


def predict_videos(
    sources: list[Path | int], stems: list[str], segmenter: Segmenter, video: VideoOptions, pictures: UnfamiliarPictures
) -> int:  # fmt: skip
    """Segment videos and cameras. Return the exit code: 1 if a video is damaged or failed, 2 if nothing was written."""
    complete = failed = 0
    for source, stem in zip(sources, stems, strict=True):
        target = segmenter.settings.out / (f"{stem}_frames" if video.frames else f"{stem}_overlay.mp4")
        try:
            complete += _predict_video(source, target, segmenter, video, pictures)
        except TinySegNetError as error:
            say(f"error: {error}")
            failed += 1
    return 0 if complete == len(sources) else 2 if failed == len(sources) else 1


def _predict_video(
    source: Path | int, target: Path, segmenter: Segmenter, video: VideoOptions, pictures: UnfamiliarPictures
) -> bool:  # fmt: skip
    """Segment one video, and return whether it is undamaged. Ctrl-C keeps the frames so far, in a complete file."""
    from .. import viz
    from ..prediction.video_files import SmoothedPrediction, VideoReader, VideoWriter
    from ..viz.frame_composer import FrameComposer

    began, written, interrupted, limit = time.perf_counter(), 0, False, video.seconds or math.inf
    with ExitStack() as stack:
        reader = stack.enter_context(closing(VideoReader(source)))
        name, writer = reader.name, None
        if video.frames:
            target.mkdir(exist_ok=True)
            if any(target.iterdir()):
                raise SettingError(f"{target}: this folder is not empty. Remove it, or choose another --out")
        else:
            writer = stack.enter_context(closing(VideoWriter(stack.enter_context(new_file(target)), reader)))
        prediction = SmoothedPrediction(segmenter, Path(name), video.smooth)
        count = min(reader.total or math.inf, limit * reader.rate)
        progress = track(f"predicting {name}", None if count == math.inf else math.ceil(count))
        try:
            frames = reader.frames(writer.add_sound if writer else None)
            for number, (moment, frame) in enumerate(progress(frames)):
                if float(moment * reader.time_base) >= limit:
                    break
                if number % video.every:
                    continue
                image = reader.upright(frame)
                labels = prediction.labels(image)
                if not written:
                    (H, W), times = labels.shape, max(1, -(-LEGIBLE // max(labels.shape)))
                    composer = FrameComposer(segmenter.palette, (times * H, times * W))
                if written % COMPARED == 0:
                    pictures.add(f"{name}, frame {number}", image)
                painted = composer.frame(image, labels)
                if writer:
                    writer.write(painted, moment)
                else:
                    files = {"overlay": painted, "labels": viz.index_picture(labels, segmenter.palette)}
                    for kind, picture in files.items():
                        path = target / f"{number:06}_{kind}.png"
                        write_atomically(path, viz.picture_bytes(picture), durable=False)
                written += 1
        except KeyboardInterrupt:
            interrupted = True
        if not written:
            raise KeyboardInterrupt if interrupted else DataError(f"{name}: no frame can be decoded. Replace the file")
    seconds = time.perf_counter() - began
    say(str(target), sys.stdout)
    say(f"{name}: {written} frames in {seconds:.1f} s, {written / seconds:.1f} frames per second")
    if writer and writer.dropped_sound:
        say(f"{name}: the sound was dropped, because few players support {writer.dropped_sound} in MP4 files")
    if reader.damage:
        say(f"error: {name}: damaged: {reader.damage}. {reader.decoded} frames were decoded, and the rest is lost")
    if interrupted and reader.is_file:
        say(f"{target} contains the frames before the interruption. The same command segments the whole video.")
        raise KeyboardInterrupt
    return not reader.damage
