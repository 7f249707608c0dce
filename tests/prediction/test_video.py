"""`tinysegnet predict` segments videos frame by frame, and keeps their times and their sound."""

from fractions import Fraction

import numpy as np
import pytest
from forms import amount
from video_samples import moving_picture, read_clip, sound_of, write_clip

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, read_image, read_labels
from tinysegnet.viz.frame_composer import FrameComposer
from tinysegnet.weights.checkpoint import save

av = pytest.importorskip("av", reason="videos need PyAV")

FRAMES = moving_picture(20)
SIZE = (24, 32)  # of the network's training pictures


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save(path, ts.build("tiny", width=1 / 8), training={"size": SIZE})
    return path


@pytest.fixture
def predict(network, tmp_path):
    """Run `predict` on videos, and return the exit code and the folder of the results."""

    def predict(*arguments):
        out = tmp_path / "out"
        return main(["predict", str(network), *map(str, arguments), "--out", str(out)]), out

    return predict


def labels_in(folder):
    """Return the number and the labels of each frame in a folder of frames."""
    return {int(path.name[:6]): read_labels(path) for path in sorted(folder.glob("*_labels.png"))}


def errors(capsys):
    """Return the lines that report errors."""
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]


# --- every frame -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "sound"), [
    (".webm", "libopus"), (".mp4", None),
    *amount([], [(".mp4", "aac"), (".mov", "aac"), (".mkv", "flac"), (".avi", "libmp3lame")]),
])  # fmt: skip
def test_videos_keep_their_frames_their_times_and_their_sound(predict, network, tmp_path, suffix, sound):
    clip = write_clip(tmp_path / f"clip{suffix}", FRAMES, sound=sound)
    assert predict(clip) == (0, tmp_path / "out")
    (overlay,) = (tmp_path / "out").iterdir()
    times, pictures = read_clip(clip)
    new_times, painted = read_clip(overlay)
    assert overlay.name == "clip_overlay.mp4"
    assert new_times == times
    assert len(times) == 20
    assert sound_of(overlay) == sound_of(clip)
    assert (sound_of(overlay)[0] is None) == (sound is None)
    model, composer = ts.load(network), FrameComposer(CAMVID, (8 * 48, 8 * 64))
    for picture, frame in zip(pictures, painted, strict=True):
        expected = np.asarray(composer.frame(picture, ts.predict(model, picture, size=SIZE)), float)
        assert np.abs(frame - expected).mean() < 5
        assert np.abs(frame - expected).mean(axis=(0, 1)).max() < 8, "no channel has another range"


def test_the_video_is_h264_that_every_player_supports(predict, tmp_path):
    _, out = predict(write_clip(tmp_path / "clip.mp4", FRAMES))
    with av.open(str(out / "clip_overlay.mp4")) as file:
        (video,) = file.streams.video
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert video.codec_context.width % 2 == video.codec_context.height % 2 == 0
        assert float(video.duration * video.time_base) == pytest.approx(20 / 25, abs=0.001)


def test_times_of_a_variable_frame_rate_are_kept(predict, tmp_path):
    times = [0, 7, 8, 30, 31, 32, 100, 333, 1000, 1001, 5000, 5001, 5020, 5030, 5031, 5032, 5040, 6000, 6001, 9000]
    clip = write_clip(tmp_path / "clip.mov", FRAMES, times=times, time_base=Fraction(1, 600), sound="aac")
    _, out = predict(clip)
    assert read_clip(out / "clip_overlay.mp4")[0] == [Fraction(time, 600) for time in times]
    assert sound_of(out / "clip_overlay.mp4") == sound_of(clip)


@pytest.mark.parametrize(("options", "numbers"), [
    ([], range(20)), (["--every", "3"], range(0, 20, 3)), (["--seconds", "0.2"], range(5)), (["--every", "99"], [0]),
])  # fmt: skip
def test_frames_have_the_labels_of_pictures(predict, network, tmp_path, options, numbers):
    clip = write_clip(tmp_path / "clip.webm", FRAMES)
    assert predict(clip, "--frames", *options)[0] == 0
    found, pictures = labels_in(tmp_path / "out" / "clip_frames"), read_clip(clip)[1]
    assert list(found) == list(numbers)
    for number, labels in found.items():
        np.testing.assert_array_equal(labels, ts.predict(ts.load(network), pictures[number], size=SIZE))
        overlay = read_image(tmp_path / "out" / "clip_frames" / f"{number:06}_overlay.png")
        composer = FrameComposer(CAMVID, (8 * 48, 8 * 64))
        np.testing.assert_array_equal(overlay, np.asarray(composer.frame(pictures[number], labels)))


@pytest.mark.parametrize("options", [["--every", "4"], ["--seconds", "0.3"]])
def test_a_part_of_the_frames_keeps_its_times_and_the_sound(predict, tmp_path, options):
    clip = write_clip(tmp_path / "clip.mp4", FRAMES, sound="aac")
    _, out = predict(clip, *options)
    times, sound = read_clip(out / "clip_overlay.mp4")[0], sound_of(out / "clip_overlay.mp4")[1]
    kept = range(0, 20, 4) if "--every" in options else range(8)
    assert times == [Fraction(number, 25) for number in kept]
    expected = sound_of(clip)[1]
    assert sound == expected[: len(sound)]
    assert len(sound) == len(expected) or sound[-1][0] > 0.2


@pytest.mark.parametrize(("options", "changes"), [
    (["--scale", "1.5"], {"size": (36, 48)}), (["--mirror"], {"mirror": True}),
    (["--test-scales", "1", "2"], {"scales": (1.0, 2.0)}),
])  # fmt: skip
def test_options_of_pictures_apply_to_frames(predict, network, tmp_path, options, changes):
    clip = write_clip(tmp_path / "clip.mp4", FRAMES)
    predict(clip, "--frames", *options)
    for number, picture in enumerate(read_clip(clip)[1]):
        labels = read_labels(tmp_path / "out" / "clip_frames" / f"{number:06}_labels.png")
        np.testing.assert_array_equal(labels, ts.predict(ts.load(network), picture, **{"size": SIZE, **changes}))


# --- smoothing -------------------------------------------------------------------------------------------------------


def test_smoothing_is_an_exponential_average_of_the_probabilities(predict, network, tmp_path):
    frames = moving_picture(12, SIZE)  # the size of the network's output, so that nothing is resized
    clip = write_clip(tmp_path / "clip.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    predict(clip, "--frames", "--smooth", "0.75", "--every", "2")
    found, model, mean = labels_in(tmp_path / "out" / "clip_frames"), ts.load(network), None
    differing = 0
    for number in range(0, 12, 2):
        now = ts.predict_probs(model, frames[number], size=SIZE)
        mean = now if mean is None else 0.75 * mean + 0.25 * now
        np.testing.assert_array_equal(found[number], mean.argmax(axis=-1))
        differing += (mean.argmax(axis=-1) != now.argmax(axis=-1)).any()
    assert differing


@pytest.mark.parametrize("smooth", [0.0, 0.5])
def test_samples_apply_to_frames(tmp_path, smooth):
    save(tmp_path / "net.safetensors", ts.build("bayesian-basic", width=1 / 16), training={"size": SIZE})
    model, frames = ts.load(tmp_path / "net.safetensors"), moving_picture(3, SIZE)
    clip = write_clip(tmp_path / "clip.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    main(["predict", str(tmp_path / "net.safetensors"), str(clip), "--out", str(tmp_path), "--frames",
          "--samples", "2", "--smooth", str(smooth)])  # fmt: skip
    found, mean = labels_in(tmp_path / "clip_frames"), 0
    for number, frame in enumerate(frames):
        now = ts.predict_samples(model, frame, samples=2, size=SIZE)[0]
        mean = smooth * mean + (1 - smooth) * now if number else now
        np.testing.assert_array_equal(found[number], mean.argmax(axis=-1))


# --- kinds of pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "size"), [
    ({}, (48, 64)), ({"rotation": 90}, (64, 48)), ({"rotation": -90}, (64, 48)), ({"rotation": 180}, (48, 64)),
    ({"aspect": Fraction(3, 2)}, (48, 96)), ({"aspect": Fraction(3, 2), "rotation": 90}, (96, 48)),
    ({"pix_fmt": "yuv420p10le"}, (48, 64)), ({"codec": "qtrle", "pix_fmt": "argb"}, (48, 64)),
    ({"codec": "mjpeg", "pix_fmt": "yuvj420p"}, (48, 64)),
    ({"codec": "prores_ks", "pix_fmt": "yuva444p10le"}, (48, 64)),
])  # fmt: skip
def test_frames_are_upright_and_have_square_pixels(predict, tmp_path, settings, size):
    if "rotation" in settings and not hasattr(av.VideoStream, "set_display_rotation"):
        pytest.skip("this version of PyAV cannot write the rotation")
    codec = {"codec": "libx264", **settings}
    frames = [np.zeros((48, 64, 3), np.uint8) + np.uint8([200, 30, 30]) for _ in range(4)]
    for frame in frames:
        frame[:16, :16] = 30, 200, 30
    _, out = predict(write_clip(tmp_path / "clip.mov", frames, **codec), "--frames")
    labels = read_labels(out / "clip_frames" / "000000_labels.png")
    assert labels.shape == size
    overlay = read_image(out / "clip_frames" / "000000_overlay.png")
    enlarged = -(-480 // max(size))
    left = (overlay.shape[1] - enlarged * size[1]) // 2
    picture = overlay[: enlarged * size[0], left : left + enlarged * size[1]]
    greens = {(y, x): int(picture[y, x, 1]) - int(picture[y, x, 0]) for y in (9, -9) for x in (9, -9)}
    corner = {0: (9, 9), 90: (-9, 9), -90: (9, -9), 180: (-9, -9)}[settings.get("rotation", 0)]
    assert max(greens, key=greens.__getitem__) == corner, "the angle is counterclockwise"


def test_odd_sizes_are_framed(predict, tmp_path):
    frames = [np.full((481, 487, 3), 90, np.uint8)] * 3
    _, out = predict(write_clip(tmp_path / "clip.webm", frames))
    assert read_clip(out / "clip_overlay.mp4")[1][0].shape[1] == 488


def test_colours_of_high_definition_video_are_not_shifted(predict, tmp_path):
    """BT.709, which most cameras use, and BT.601 differ by up to 30 levels in strong colours."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace = 1
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), [20, 220, 40], np.uint8), "rgb24")
        out.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        out.mux(stream.encode())
    from tinysegnet.prediction.video_files import VideoReader

    reader = VideoReader(path)
    ((_, frame),) = reader.frames(None)
    np.testing.assert_allclose(reader.upright(frame).mean(axis=(0, 1)), [20, 220, 40], atol=4)
    reader.close()
