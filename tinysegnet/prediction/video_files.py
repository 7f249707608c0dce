"""Videos and cameras, read and written frame by frame with PyAV, so that memory does not grow with their length."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import viz
from ..data import Palette
from ..errors import DataError, SettingError
from ..files import kind_of, new_file, write_atomically

# The codecs of sound that MP4 files can contain, and that common players play there.
SOUND_CODECS = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus"}
MISSING_END = 0.5  # seconds; if more than this is missing at the end, a file is incomplete
_FRAME_FILE = re.compile(r"\d{6,}_(overlay|labels)\.png")
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}  # by platform: format and file


def import_av() -> Any:
    """Return PyAV. Raises SettingError with the command that installs it."""
    try:
        import av
    except ImportError:
        raise SettingError('videos and cameras need PyAV. Run pip install "tinysegnet[video]"') from None
    return av


class VideoReader:
    """Reads the frames of a video, and passes its sound on. Use it in a `with` statement.

    Attributes:
        is_file: Whether the source is a file.
        total: The number of frames, roughly, or None if it is not known.
        decoded: The number of frames that were decoded so far.
        damage: What is wrong with the file, or "" if no damage was found so far.

    Args:
        source: A file, or the number of a camera.

    Raises:
        DataError: The file is missing, contains no video, or cannot be read at all, or there is no such camera.
        SettingError: PyAV is not installed.
    """

    def __init__(self, source: Path | int) -> None:
        self.name = str(source) if isinstance(source, Path) else f"camera {source}"
        self.is_file, self.decoded, self.damage = isinstance(source, Path), 0, ""
        self.av = import_av()
        self.container = self._camera(source) if isinstance(source, int) else self._file(source)
        video = self.container.streams.best("video")
        if video is None or video.codec_context is None:
            self.container.close()
            wrong = "contains no video" if video is None else "the codec of this video is not supported"
            raise DataError(f"{self.name}: {wrong}. Convert it to MP4 with H.264")
        video.thread_type = "AUTO"
        self.video, self.sound = video, self.container.streams.best("audio")
        self.time_base, self.rate = video.time_base, video.average_rate or video.guessed_rate or Fraction(25)
        self.start = 0 if self.is_file else None  # a camera's clock starts at any time
        seconds = (video.duration or 0) * video.time_base or Fraction(self.container.duration or 0, self.av.time_base)
        self.total = video.frames or round(seconds * self.rate) or None
        self._end = seconds if self.is_file else 0

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    def frames(self, on_sound: Callable[[Any], None]) -> Iterator[tuple[int, Any]]:
        """Yield the time of each frame, in units of `time_base`, and the frame. Damaged parts are skipped.

        Times are strictly increasing. Each packet of sound is passed to `on_sound` when the video is at its place.
        """
        av, last, end = self.av, -sys.maxsize, 0.0
        packets = self.container.demux()
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                end = max(end, float(((packet.pts or 0) + (packet.duration or 0)) * (packet.time_base or 0)))
                if packet.is_corrupt:
                    self.damage = "some frames are damaged"
                if packet.stream is self.sound and packet.dts is not None:
                    on_sound(packet)
                found = packet.decode() if packet.stream is self.video else []
            except av.FFmpegError as error:
                self.damage = f"some frames are damaged ({error.strerror})"
                continue
            for frame in found:
                time = frame.dts if self.container.format.name == "avi" else frame.pts  # AVI has only decoding times
                if self.start is None:
                    self.start = time or 0
                time = last + 1 if time is None else time - self.start
                if frame.is_corrupt:
                    self.damage = "some frames are damaged"
                last, self.decoded = max(time, last + 1), self.decoded + 1
                yield last, frame
        if end < self._end - MISSING_END:
            self.damage = f"the file ends after {end:.1f} of {float(self._end):.1f} seconds"

    def upright(self, frame: Any) -> np.ndarray:
        """Return a frame as viewers show it: (H, W, 3) uint8 RGB, upright, with square pixels, without transparency."""
        aspect = self.video.sample_aspect_ratio or 1
        width = max(1, round(frame.width * aspect))
        pixels = frame.reformat(width=width, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))

    def _file(self, path: Path) -> Any:
        try:
            kind = kind_of(path)
            if kind in ("an empty file", "a text file", "a pipe or a device"):
                raise DataError(f"{path}: {kind}, not a video. Choose another file")
            return self.av.open(str(path))
        except OSError as error:
            raise DataError(f"{path}: {(error.strerror or str(error)).lower()}. Choose another file") from None
        except self.av.FFmpegError as error:
            raise DataError(
                f"{path}: not a video, or its index is damaged ({error.strerror}). Replace the file"
            ) from None

    def _camera(self, number: int) -> Any:
        try:
            if sys.platform == "win32":
                devices = self.av.enumerate_input_devices("dshow")
                names = [device.name for device in devices if "video" in device.media_types]
                return self.av.open(f"video={names[number]}", format="dshow")
            format, file = CAMERAS.get(sys.platform, CAMERAS["linux"])
            options = {"framerate": "30"} if format == "avfoundation" else {}  # its default rate is often refused
            return self.av.open(file.format(number), format=format, options=options)
        except (self.av.FFmpegError, OSError, ValueError, IndexError) as error:
            raise DataError(f"{self.name}: no camera can be opened ({error}). Connect one, or choose another") from None


class VideoWriter:
    """Writes frames as H.264 to an MP4 file, with the times and the sound of the video that is read.

    Attributes:
        dropped_sound: The codec of the sound if the file cannot contain it, else "".
    """

    def __init__(self, path: Path, reader: VideoReader) -> None:
        self._reader, self._stream, self._waiting = reader, None, list[Any]()
        self._out = reader.av.open(str(path), "w", format="mp4")
        name = reader.sound.codec_context.name if reader.sound else ""
        self.dropped_sound = name if name not in SOUND_CODECS else ""
        self._sound = self._out.add_stream_from_template(reader.sound) if name in SOUND_CODECS else None

    def add_sound(self, packet: Any) -> None:
        """Copy a packet of sound. Packets wait for the first frame, because it determines the file's header."""
        if self._sound is not None:
            self._waiting.append(packet)
        while self._stream is not None and self._waiting:
            packet = self._waiting.pop(0)
            packet.stream = self._sound
            self._out.mux(packet)

    def write(self, number: int, time: int, picture: Image.Image, labels: np.ndarray) -> None:
        """Append a frame with an even height and width, at a time in units of the reader's time base."""
        av, time_base = self._reader.av, self._reader.time_base
        if self._stream is None:
            options = {"crf": "20", "preset": "veryfast"}
            self._stream = self._out.add_stream("libx264", rate=self._reader.rate, options=options)
            self._stream.width, self._stream.height = picture.size
            self._stream.pix_fmt, context = "yuv420p", self._stream.codec_context
            context.time_base = time_base
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1  # BT.709
        frame = av.VideoFrame.from_image(picture).reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        frame.pts, frame.time_base = time, time_base
        self._out.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the frames that are still being encoded, and finish the file."""
        if self._stream is not None:
            self._out.mux(self._stream.encode())
            self._stream = None
        self._out.close()


@contextmanager
def writing_video(path: Path, reader: VideoReader) -> Iterator[VideoWriter]:
    """Write a video. It gets its name if the block raises no error, and replaces an earlier one."""
    with new_file(path) as temporary, closing(VideoWriter(temporary, reader)) as writer:
        yield writer


class FrameFiles:
    """Writes frames as PNG files, NUMBER_overlay.png and NUMBER_labels.png, in a folder.

    The frames of an earlier run in this folder are removed before the first frame is written.
    """

    dropped_sound = ""

    def __init__(self, folder: Path, palette: Palette) -> None:
        self._folder, self._palette, self._empty = folder, palette, False

    def add_sound(self, packet: Any) -> None:
        """Ignore the sound."""

    def write(self, number: int, time: int, picture: Image.Image, labels: np.ndarray) -> None:
        """Write the files of one frame."""
        if not self._empty:
            self._folder.mkdir(exist_ok=True)
            for old in filter(lambda path: _FRAME_FILE.fullmatch(path.name), list(self._folder.iterdir())):
                old.unlink()
            self._empty = True
        for suffix, image in (("overlay", picture), ("labels", viz.index_picture(labels, self._palette))):
            path = self._folder / f"{number:06}_{suffix}.png"
            write_atomically(path, viz.picture_bytes(image), durable=False)
