"""Damaged videos, cameras, interruptions, and options that do not fit: one line says what is wrong or what is kept."""

import signal
import sys

import numpy as np
import pytest
from forms import amount
from PIL import Image
from video_samples import moving_picture, read_clip, sound_of, write_clip

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.prediction import video_files
from tinysegnet.prediction.video_files import SmoothedPrediction
from tinysegnet.weights.checkpoint import save

av = pytest.importorskip("av", reason="videos need PyAV")

RNG = np.random.default_rng(0)
NOISY = [np.clip(f + RNG.integers(-20, 21, f.shape), 0, 255).astype(np.uint8) for f in moving_picture(100, (48, 64))]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save(path, ts.build("tiny", width=1 / 8), training={"size": [24, 32]})
    return path


@pytest.fixture
def predict(network, tmp_path, capsys):
    """Run `predict`, and return the exit code, the lines on stderr, and the folder of the results."""

    def predict(*arguments):
        out = tmp_path / "out"
        code = main(["predict", str(network), *map(str, arguments), "--out", str(out)])
        lines = capsys.readouterr().err.splitlines()
        return code, [line for line in lines if "frames per second" not in line and "warning" not in line], out

    return predict


def frames_of(path):
    """Return the number of frames that can be decoded."""
    count = 0
    with av.open(str(path)) as file:
        for packet in file.demux(video=0):
            try:
                count += len(packet.decode())
            except av.InvalidDataError:
                continue
    return count


# --- damaged files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", amount([".mp4", ".mkv"], [".mp4", ".mov", ".avi", ".webm", ".mkv"]))
@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
def test_what_can_be_decoded_of_a_damaged_video_is_written(predict, tmp_path, suffix, damage):
    options = {"movflags": "faststart"} if suffix in (".mp4", ".mov") else {}  # the index is at the beginning
    whole = write_clip(tmp_path / f"clip{suffix}", NOISY, **options).read_bytes()
    middle = len(whole) // 2
    noise = RNG.integers(0, 256, 3000, np.uint8).tobytes()
    broken = whole[:middle] if damage == "truncated" else whole[: middle - 1500] + noise + whole[middle + 1500 :]
    (tmp_path / f"clip{suffix}").write_bytes(broken)
    code, (line,), out = predict(tmp_path / f"clip{suffix}", "--every", "5")
    decoded = frames_of(tmp_path / f"clip{suffix}")
    assert code == 1
    assert line.startswith(f"error: {tmp_path / 'clip'}{suffix}: damaged")
    assert f"{decoded} frames were decoded" in line
    assert 4 < decoded < 101
    times, _ = read_clip(out / "clip_overlay.mp4")
    assert len(times) == -(-decoded // 5)
    assert times == sorted(set(times))


def sound_only(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        out.mux([*stream.encode(frame), *stream.encode()])


@pytest.mark.parametrize(("write", "reason"), [
    (lambda path: path.write_bytes(b""), "an empty file"),
    (lambda path: path.write_text("no video\n"), "a text file"),
    (lambda path: path.write_bytes(b"\0\0\0\x14ftypqt  " + bytes(500)), "Invalid data"),
    (lambda path: path.write_bytes(write_clip(path, NOISY[:9]).read_bytes()[:-200]), "no frame"),
    (lambda path: None, "No such file"),
    (sound_only, "contains none"),
])  # fmt: skip
@pytest.mark.parametrize("together", [False, True])
def test_files_without_a_video_are_reported_in_one_line(predict, tmp_path, write, reason, together):
    path, others = tmp_path / "clip.mp4", []
    write(path)
    if together:
        others = [write_clip(tmp_path / "good.mp4", NOISY[:3])]
    code, (line,), out = predict(path, *others)
    assert code == (1 if together else 2)
    assert line.startswith(f"error: {path}: ")
    assert reason in line
    assert [path.name for path in out.iterdir()] == ["good_overlay.mp4"][: len(others)]


def test_without_pyav_pictures_are_segmented_and_one_line_names_the_command(predict, tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mp4", NOISY[:3])
    Image.new("RGB", (20, 12)).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "av", None)
    code, (line,), out = predict(clip, tmp_path / "a.png")
    assert code == 1
    assert 'pip install "tinysegnet[video]"' in line
    assert (out / "a_overlay.png").exists()
    assert predict(clip)[0] == 2


@pytest.mark.parametrize(("suffix", "sound"), [(".mkv", "pcm_s16le"), (".mov", "pcm_s16le")])
def test_sound_that_does_not_fit_is_said_to_be_dropped(predict, tmp_path, suffix, sound):
    clip = write_clip(tmp_path / f"clip{suffix}", NOISY[:20], sound=sound)
    code, (line,), out = predict(clip)
    assert code == 0
    assert "sound was dropped" in line
    assert sound.removeprefix("lib") in line
    assert sound_of(out / "clip_overlay.mp4") == (None, [])


def test_a_full_disk_leaves_no_file(predict, tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mp4", NOISY)

    def fail(*arguments):
        raise OSError(28, "No space left on device", "temporary name")

    monkeypatch.setattr(video_files.VideoWriter, "write", fail)
    code, (line,), out = predict(clip)
    assert code == 1
    assert f"{out / 'clip_overlay.mp4'}: No space left" in line
    assert list(out.iterdir()) == []


# --- interruptions and cameras ---------------------------------------------------------------------------------------


@pytest.fixture
def interrupt(monkeypatch):
    """Let Ctrl-C arrive during the prediction of a frame: interrupt(at=1)."""

    def interrupt(at):
        labels, calls = SmoothedPrediction.labels, []

        def interrupted(self, image):
            calls.append(1)
            if len(calls) == at:
                signal.raise_signal(signal.SIGINT)
            return labels(self, image)

        monkeypatch.setattr(SmoothedPrediction, "labels", interrupted)

    return interrupt


def test_ctrl_c_keeps_the_frames_so_far_in_a_playable_file(predict, tmp_path, interrupt):
    clip = write_clip(tmp_path / "clip.mp4", NOISY, sound="aac")
    interrupt(at=8)
    code, lines, out = predict(clip)
    assert code == 130
    assert lines[0].startswith(f"{out / 'clip_overlay.mp4'} contains")
    assert lines[1:] == ["interrupted"]
    assert [path.name for path in out.iterdir()] == ["clip_overlay.mp4"]
    assert read_clip(out / "clip_overlay.mp4")[0] == read_clip(clip)[0][:7]


def test_ctrl_c_before_the_first_frame_keeps_an_earlier_result(predict, tmp_path, interrupt):
    clip = write_clip(tmp_path / "clip.mp4", NOISY[:5])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip_overlay.mp4").write_bytes(b"earlier, Software: tinysegnet")
    interrupt(at=1)
    assert predict(clip)[:2] == (130, ["interrupted"])
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"earlier, Software: tinysegnet"]


TEST_CAMERA = {sys.platform: ("lavfi", "testsrc=size=64x48:rate=25:duration={}")}  # "camera 1" sends for one second


def test_a_camera_is_segmented_until_ctrl_c(predict, interrupt, monkeypatch):
    monkeypatch.setattr(video_files, "CAMERAS", TEST_CAMERA)
    interrupt(at=6)
    code, lines, out = predict("--camera", "1")
    assert (code, lines) == (0, [])
    assert len(read_clip(out / "camera_overlay.mp4")[0]) == 5


def test_a_camera_is_segmented_for_some_seconds(predict, monkeypatch):
    monkeypatch.setattr(video_files, "CAMERAS", TEST_CAMERA)
    code, lines, out = predict("--camera", "1", "--seconds", "0.4")
    assert (code, lines) == (0, [])
    assert len(read_clip(out / "camera_overlay.mp4")[0]) == 10


def test_a_missing_camera_is_one_line(predict):
    code, (line,), _ = predict("--camera", "77")
    assert code == 2
    assert line.startswith("error: camera 77: ")


# --- options and folders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "name"), [
    (["--gif"], "--gif"), (["--probabilities"], "--probabilities"), (["--smooth", "1"], "--smooth"),
    (["--smooth", "-0.1"], "--smooth"), (["--every", "0"], "--every"), (["--camera", "-1"], "--camera"),
    (["--scale", "2000"], "--scale"),
])  # fmt: skip
def test_options_that_do_not_fit_a_video_are_refused(predict, tmp_path, options, name):
    code, (line,), _ = predict(write_clip(tmp_path / "clip.mp4", NOISY[:3]), *options)
    assert code == 2
    assert name in line


@pytest.mark.parametrize("options", [["--smooth", "0.5"], ["--every", "2"], ["--seconds", "1"], ["--frames"]])
def test_options_of_videos_are_refused_for_pictures(predict, tmp_path, options):
    Image.new("RGB", (20, 12)).save(tmp_path / "a.png")
    code, (line,), _ = predict(tmp_path / "a.png", *options)
    assert code == 2
    assert options[0] in line


def test_pictures_and_videos_in_a_folder_are_segmented_once(predict, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("b10.mp4", "b2.MOV", "a.webm"):
        write_clip(folder / name.lower(), NOISY[:3]).rename(folder / name)
    (folder / "c").write_bytes((folder / "a.webm").read_bytes())  # recognised by its content
    Image.new("RGB", (20, 12)).save(folder / "a.png")
    Image.new("RGB", (20, 12)).save(folder / "picture.mp4", "PNG")
    (folder / "notes.txt").write_text("x")
    for _ in range(2):
        code, (line,), _ = predict(folder, folder / "a.webm")
        assert code == 0
        assert "left out: 1, " in line
    videos = {path.name for path in folder.glob("*_overlay.mp4")}
    assert videos == {f"{stem}_overlay.mp4" for stem in ("a", "b2", "b10", "c")}
    assert {path.name for path in folder.glob("*_overlay.png")} == {"a_overlay.png", "picture_overlay.png"}


def test_a_folder_of_videos_needs_no_picture(predict, tmp_path):
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips" / "x.mp4", NOISY[:2])
    assert predict(tmp_path / "clips")[:2] == (0, [])
