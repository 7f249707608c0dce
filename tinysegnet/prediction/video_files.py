"""Videos and cameras, read and written frame by frame with PyAV, and predicted with averages over time."""

import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError, SettingError
from ..files import COMMENT, kind_of
from ..ops import softmax_forward
from .predict import _largest, _sample, _working_logits, predict
from .segment_files import Segmenter

SOUND_CODECS = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus"}  # that players support in MP4 files
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}  # by platform: format and file
MISSING_END = 0.5  # seconds; if more is missing at the end, a file is incomplete
SKIPPED = 1000  # bytes; undamaged Matroska files have less between two packets


def import_av() -> Any:
    """Return PyAV. Raises SettingError with the command that installs it."""
    try:
        import av
    except ImportError:
        raise SettingError('videos and cameras need PyAV. Run pip install "tinysegnet[video]"') from None
    return av


class VideoReader:
    """A video file, or the number of a camera. Raises DataError if it is missing, or if no video can be read from it.

    Attributes:
        total: The approximate number of frames, or None if it is unknown.
        decoded: The number of frames that were decoded so far.
        damage: What is wrong with the file, such as "it ends after 2.8 of 4.8 seconds", or "".
    """

    def __init__(self, source: Path | int) -> None:
        self.name = f"camera {source}" if isinstance(source, int) else str(source)
        self.is_file, self.decoded, self.damage = isinstance(source, Path), 0, ""
        self.av = import_av()
        try:
            self._file = self._open(source)
            self.video, self.sound = self._file.streams.best("video"), self._file.streams.best("audio")
            if self.video is None or self.video.codec_context is None:
                raise ValueError("it contains none, or the codec is not supported")
        except (self.av.FFmpegError, OSError, ValueError, IndexError) as error:
            reason = getattr(error, "strerror", None) or error
            if not self.is_file:
                raise DataError(f"{self.name}: it cannot be opened ({reason}). Connect it, or give another "
                                "number") from None  # fmt: skip
            raise DataError(f"{self.name}: no video can be read ({reason}). Choose another one") from None
        self.time_base, self.rate = self.video.time_base, self.video.average_rate or Fraction(25)
        seconds = (self.video.duration or 0) * self.time_base or Fraction(self._file.duration or 0, self.av.time_base)
        self._end = float(seconds) if self.is_file else 0.0
        self.total = self.video.frames or round(seconds * self.rate) or None

    def _open(self, source: Path | int) -> Any:
        if isinstance(source, Path):
            if (kind := kind_of(source)) in ("an empty file", "a text file", "a pipe or a device"):
                raise ValueError(kind)
            return self.av.open(str(source.absolute()))  # or FFmpeg would take "http:" in a name for a protocol
        if sys.platform == "win32":
            cameras = [one for one in self.av.enumerate_input_devices("dshow") if "video" in one.media_types]
            return self.av.open(f"video={cameras[source].name}", format="dshow")
        format, file = CAMERAS.get(sys.platform, CAMERAS["linux"])
        options = {"framerate": "30"} if format == "avfoundation" else {}  # its default is often refused
        return self.av.open(file.format(source), format=format, options=options)

    def close(self) -> None:
        """Close the file or the camera."""
        self._file.close()

    def frames(self, on_sound: Callable[[Any], None] | None) -> Iterator[tuple[int, Any]]:
        """Yield the time of each frame in units of `time_base`, increasing, and the frame. Skip what is damaged.

        Packets of sound are passed to `on_sound` in between.
        """
        kind, packets = self._file.format.name, self._file.demux()
        start = 0 if self.is_file else self.video.start_time or 0  # a camera's clock runs before
        last, end, place, damaged = -1 - sys.maxsize, 0.0, 0, False
        while True:
            found: list[Any] = []
            try:
                if (packet := next(packets, None)) is None:
                    break
                end = max(end, float(((packet.pts or 0) + (packet.duration or 0)) * (packet.time_base or 0)))
                damaged |= packet.is_corrupt
                if "matroska" in kind and packet.size:  # damaged bytes are skipped without an error
                    damaged |= 0 < place < packet.pos - SKIPPED
                    place = max(place, packet.pos + packet.size)
                if on_sound and packet.stream is self.sound and packet.dts is not None:
                    on_sound(packet)
                found = packet.decode() if packet.stream is self.video else []
            except self.av.FFmpegError as error:
                if isinstance(error, OSError):  # such as a full disk
                    raise
                damaged = True
            damaged |= any(frame.is_corrupt for frame in found)
            self.damage = "parts of it cannot be decoded" if damaged and self.is_file else ""
            for frame in found:
                time = frame.dts if kind == "avi" else frame.pts  # AVI has only decoding times
                last = last + 1 if time is None else max(time - start, last + 1)
                self.decoded += 1
                yield last, frame
        if end < self._end - MISSING_END:
            self.damage = f"it ends after {end:.1f} of {self._end:.1f} seconds"

    def upright(self, frame: Any) -> np.ndarray:
        """Return a frame as players show it: (H, W, 3) uint8 RGB, upright, with square pixels, without transparency."""
        width = max(1, round(frame.width * (self.video.sample_aspect_ratio or 1)))
        pixels = frame.reformat(width=width, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


class VideoWriter:
    """An MP4 file with H.264, and the times and the sound of the video that is read.

    Attributes:
        dropped_sound: The codec of the sound if it is not copied, else "".
    """

    def __init__(self, path: Path, reader: VideoReader) -> None:
        self._reader, self._waiting = reader, list[Any]()
        self._video: Any = None
        self._file = reader.av.open(str(path.absolute()), "w", format="mp4")
        self._file.metadata["comment"] = COMMENT
        codec = reader.sound.codec_context.name if reader.sound else ""
        self.dropped_sound = "" if codec in SOUND_CODECS else codec
        self._sound = self._file.add_stream_from_template(reader.sound) if codec in SOUND_CODECS else None

    def add_sound(self, packet: Any) -> None:
        """Copy a packet of sound. Packets wait for the first frame, whose size the beginning of the file contains."""
        self._waiting += [packet] if self._sound else []
        while self._video and self._waiting:
            packet = self._waiting.pop(0)
            packet.stream = self._sound
            self._mux(packet)

    def write(self, picture: Image.Image, time: int) -> None:
        """Append a frame with even sides, at a time in units of the reader's time base."""
        if self._video is None:
            options = {"crf": "20", "preset": "veryfast"}
            self._video = video = self._file.add_stream("libx264", rate=self._reader.rate, options=options)
            (video.width, video.height), video.pix_fmt = picture.size, "yuv420p"
            context = video.codec_context
            context.time_base = self._reader.time_base
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1  # BT.709
        frame = self._reader.av.VideoFrame.from_image(picture)
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = time, self._reader.time_base
        self._mux(self._video.encode(frame))

    def _mux(self, packets: Any) -> None:
        try:
            self._file.mux(packets)
        except self._reader.av.FFmpegError as error:
            if isinstance(error, OSError):  # such as a full disk
                raise
            raise DataError(f"{self._reader.name}: an MP4 file cannot contain this video ({error.strerror}). Give "
                            "--frames, or convert it first") from None  # fmt: skip

    def close(self) -> None:
        """Write what is still being encoded, and finish the file."""
        self._mux(self._video.encode() if self._video else [])
        self._file.close()


class SmoothedPrediction:
    """Predicts one frame after the other, with p(t) = weight p(t - 1) + (1 - weight) p(frame t).

    Here p(frame t) are the probabilities of the classes, at the resolution of the network's output. The average starts
    with the first frame, and again if the size of the frames changes. It continues over cuts.

    Args:
        path: the video, for errors.
        weight: 0 <= weight < 1. With weight 0, the labels are those of `predict`.
    """

    def __init__(self, segmenter: Segmenter, path: Path, weight: float) -> None:
        self.segmenter, self.path, self.weight = segmenter, path, weight
        self._mean = np.empty(0)

    def labels(self, image: np.ndarray) -> np.ndarray:
        """Return the label map (H, W) uint8 of the next frame (H, W, 3) uint8: the class with the largest average.

        Raises SettingError if the network would need too much memory.
        """
        model, settings = self.segmenter.checkpoint.model, self.segmenter.settings
        size, tile = self.segmenter.input_size(self.path, image.shape[:2])
        if settings.samples is not None:
            now = _sample(model, image, settings.samples, 0, size)[0]
        elif self.weight:
            now = softmax_forward(_working_logits(model, image, size, tile=tile, **settings.averaging))[0]
        else:
            return predict(model, image, size=size, tile=tile, **settings.averaging)
        past = self._mean if self._mean.shape == now.shape else now
        self._mean = self.weight * past + (1 - self.weight) * now
        return _largest(self._mean, image.shape[:2])
