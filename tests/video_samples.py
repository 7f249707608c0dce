"""Small videos for tests, written with PyAV, and what a video contains."""

from fractions import Fraction
from pathlib import Path

import numpy as np

CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".avi": "mpeg4", ".webm": "libvpx-vp9"}


def moving_picture(count, size=(48, 64), seed=0):
    """Return frames (H, W, 3): coloured blocks that move to the left by two pixels per frame."""
    H, W = size
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-H // 8), -(-W // 8) + count // 4 + 1, 3), np.uint8)
    wide = blocks.repeat(8, 0).repeat(8, 1)
    return [np.ascontiguousarray(wide[:H, 2 * i : 2 * i + W]) for i in range(count)]


def write_clip(path, frames, *, times=None, rate=25, codec=None, pix_fmt="yuv420p", sound=None, rotation=0, aspect=None,
               time_base=None, **options):  # fmt: skip
    """Write frames, at their numbers or at `times` in units of `time_base`, with a tone by the encoder `sound`."""
    import av

    path = Path(path)
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream(codec or CODECS[path.suffix], rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.gop_size = pix_fmt, 8
        stream.codec_context.time_base = time_base = time_base or Fraction(1, rate)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        tone = sound and out.add_stream(sound, rate=48000, layout="mono")
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = times[i] if times else i, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if sound:
            seconds = float((times[-1] if times else len(frames)) * time_base)
            wave = np.sin(np.arange(round(48000 * seconds)) / 20).astype(np.float32)
            step = tone.codec_context.frame_size or 1024
            for at in range(0, len(wave) - step + 1, step):
                samples = av.AudioFrame.from_ndarray(wave[None, at : at + step], "fltp", "mono")
                samples.sample_rate, samples.pts = 48000, at
                out.mux(tone.encode(samples))
            out.mux(tone.encode())
    return path


def read_clip(path):
    """Return the times of the frames in seconds, and the frames (H, W, 3)."""
    import av

    with av.open(str(path)) as file:
        found = [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    return [time for time, _ in found], [pixels for _, pixels in found]


def sound_of(path):
    """Return the codec of the sound, or None, and its packets as (time in seconds, bytes)."""
    import av

    with av.open(str(path)) as file:
        if not file.streams.audio:
            return None, []
        (stream,) = file.streams.audio
        packets = [(packet.pts * packet.time_base, bytes(packet)) for packet in file.demux(stream) if packet.size]
        return stream.codec_context.name, packets
