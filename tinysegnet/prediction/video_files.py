"""Videos and cameras, read and written frame by frame with PyAV, so that memory does not grow with their length."""

import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, SettingError
from ..files import kind_of

# The codecs of sound that MP4 files can contain, and that common players play there.
SOUND_CODECS = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus"}
MISSING_END = 0.5  # seconds; if more than this is missing at the end, a file is incomplete
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
        self.decoded, self.damage = 0, ""
        self._av = import_av()
        self.container = self._camera(source) if isinstance(source, int) else self._file(source)
        video = self.container.streams.best("video")
        if video is None or video.codec_context is None:
            self.container.close()
            wrong = "contains no video" if video is None else "the codec of this video is not supported"
            raise DataError(f"{self.name}: {wrong}. Convert it to MP4 with H.264")
        video.thread_type = "AUTO"
        self.video, self.sound = video, self.container.streams.best("audio")
        self.time_base, self.rate = video.time_base, video.average_rate or video.guessed_rate or Fraction(25)
        self.start = 0 if isinstance(source, Path) else None  # a camera's clock starts at any time
        seconds = (video.duration or 0) * video.time_base or Fraction(self.container.duration or 0, self._av.time_base)
        self.total = video.frames or round(seconds * self.rate) or None
        self._end = seconds if isinstance(source, Path) else 0

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    def frames(self, on_sound: Callable[[Any], None]) -> Iterator[tuple[int, Any]]:
        """Yield the time of each frame, in units of `time_base`, and the frame. Damaged parts are skipped.

        Times are strictly increasing. Each packet of sound is passed to `on_sound` when the video is at its place.
        """
        av, last, end = self._av, -sys.maxsize, 0.0
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
                if packets.gi_frame is None:
                    break
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
            return self._av.open(str(path))
        except OSError as error:
            raise DataError(f"{path}: {(error.strerror or str(error)).lower()}. Choose another file") from None
        except self._av.FFmpegError as error:
            raise DataError(f"{path}: not a video, or its index is damaged ({error.strerror}). Replace the file") from None

    def _camera(self, number: int) -> Any:
        try:
            if sys.platform == "win32":
                devices = self._av.enumerate_input_devices("dshow")
                names = [device.name for device in devices if "video" in device.media_types]
                return self._av.open(f"video={names[number]}", format="dshow")
            format, file = CAMERAS.get(sys.platform, CAMERAS["linux"])
            options = {"framerate": "30"} if format == "avfoundation" else {}  # its default rate is often refused
            return self._av.open(file.format(number), format=format, options=options)
        except (self._av.FFmpegError, OSError, ValueError, IndexError) as error:
            raise DataError(f"{self.name}: no camera can be opened ({error}). Connect one, or choose another") from None


class VideoWriter:
    """Writes frames as H.264 into an MP4 file, with the times and the sound of the video that is read.

    Attributes:
        dropped: The codec of the sound if the file cannot contain it, else "".
    """

    def __init__(self, path: Path, reader: VideoReader) -> None:
        self._reader, self._waiting, self._stream = reader, list[Any](), None
        self._out = reader._av.open(str(path), "w", format="mp4")
        name = reader.sound.codec_context.name if reader.sound else ""
        self.dropped = name if name not in SOUND_CODECS else ""
        self._sound = None if self.dropped or not name else self._out.add_stream_from_template(reader.sound)

    def add_sound(self, packet: Any) -> None:
        """Copy a packet of sound."""
        if self._sound is not None:
            self._waiting.append(packet)
            self._mux_sound()

    def write(self, picture: np.ndarray, time: int) -> None:
        """Append a picture (H, W, 3) uint8 of even height and width, at a time in units of the reader's time base."""
        if self._stream is None:
            # x264's presets between "medium" and "veryfast" differ little in quality, but several times in speed.
            options = {"crf": "20", "preset": "veryfast"}
            self._stream = stream = self._out.add_stream("libx264", rate=self._reader.rate, options=options)
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = self._reader.time_base
            stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1  # BT.709, limited range
            stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        frame = self._reader._av.VideoFrame.from_ndarray(picture, "rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = time, self._reader.time_base
        self._out.mux(self._stream.encode(frame))
        self._mux_sound()

    def close(self) -> None:
        """Write the frames that are still being encoded, and finish the file."""
        if self._stream is not None:
            self._out.mux(self._stream.encode())
        self._out.close()

    def _mux_sound(self) -> None:
        """Write packets of sound. The first frame must come before, because it determines the file's header."""
        while self._stream is not None and self._waiting:
            packet = self._waiting.pop(0)
            packet.stream = self._sound
            self._out.mux(packet)
