"""`predict` replaces results of an earlier run, and no other file."""

from pathlib import Path

import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.weights.checkpoint import save


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("net.safetensors", ts.build("tiny", width=1 / 16), training={"size": [16, 24]})
    for name in ("a.png", "a_overlay.png"):
        Image.new("RGB", (32, 24)).save(name)
    return tmp_path


@pytest.mark.parametrize(("pictures", "message"), [
    (["a.png", "a_overlay.png"], "a_overlay.png: a result would replace this input"),
    (["a.png"], "a_overlay.png: this file exists, and was not written"),
])  # fmt: skip
def test_results_never_replace_an_input_or_a_file_of_another_program(folder, capsys, pictures, message):
    before = Path("a_overlay.png").read_bytes()
    assert main(["predict", "net.safetensors", *pictures, "--out", "."]) == 2
    assert message in capsys.readouterr().err
    assert Path("a_overlay.png").read_bytes() == before
    assert not Path("a_labels.png").exists()


RESULTS = {  # the options, and a result
    "labels": ([], "b_labels.png"),
    "probabilities": (["--probabilities"], "b_probabilities.npz"),
    "animation": (["--gif"], "predictions.gif"),
}


@pytest.mark.parametrize(("options", "result"), RESULTS.values(), ids=RESULTS)
def test_each_kind_of_result_replaces_only_a_result(folder, capsys, options, result):
    Path("a.png").rename("b.png")
    command = ["predict", "net.safetensors", "b.png", "--out", "o", *options]
    for _ in range(2):
        assert main(command) == 0
    Path("o", result).write_bytes(b"mine, about tinysegnet")
    assert main(command) == 2
    assert f"o/{result}: this file exists, and was not written" in capsys.readouterr().err
    assert Path("o", result).read_bytes() == b"mine, about tinysegnet"


def test_a_video_replaces_only_a_result(folder, capsys):
    pytest.importorskip("av", reason="needs PyAV")
    from video_samples import moving_picture, write_clip

    write_clip("clip.mp4", moving_picture(3))
    command = ["predict", "net.safetensors", "clip.mp4", "--out", "o"]
    for _ in range(2):
        assert main(command) == 0
    write_clip("o/clip_overlay.mp4", moving_picture(3))
    before = Path("o/clip_overlay.mp4").read_bytes()
    assert main(command) == 2
    assert "o/clip_overlay.mp4: this file exists, and was not written" in capsys.readouterr().err
    assert Path("o/clip_overlay.mp4").read_bytes() == before


def test_folder_of_frames_must_be_empty(folder, capsys):
    pytest.importorskip("av", reason="needs PyAV")
    Path("o/clip_frames").mkdir(parents=True)
    Path("o/clip_frames/000000_labels.png").write_bytes(b"mine")
    from video_samples import moving_picture, write_clip

    write_clip("clip.mp4", moving_picture(3))
    assert main(["predict", "net.safetensors", "clip.mp4", "--frames", "--out", "o"]) == 2
    assert "o/clip_frames: this folder is not empty" in capsys.readouterr().err
    assert [path.name for path in Path("o/clip_frames").iterdir()] == ["000000_labels.png"]


def test_a_gap_that_mp4_cannot_contain_fails_this_video_only(folder, capsys):
    pytest.importorskip("av", reason="needs PyAV")
    from video_samples import moving_picture, write_clip

    write_clip("gap.mkv", moving_picture(3), times=[0, 1, 1 << 40])
    write_clip("good.mp4", moving_picture(3))
    assert main(["predict", "net.safetensors", "gap.mkv", "good.mp4", "--out", "o"]) == 1
    assert "gap.mkv: an MP4 file cannot contain this video" in capsys.readouterr().err
    assert [path.name for path in Path("o").iterdir()] == ["good_overlay.mp4"]


def test_names_are_not_taken_for_protocols(folder):
    pytest.importorskip("av", reason="needs PyAV")
    from video_samples import moving_picture, read_clip, write_clip

    write_clip("b.mp4", moving_picture(3))
    write_clip("c.mp4", moving_picture(5))
    Path("c.mp4").rename("file:b.mp4")
    assert main(["predict", "net.safetensors", "file:b.mp4", "--out", "o"]) == 0
    (path,) = Path("o").iterdir()
    path.rename("o/out.mp4")
    assert len(read_clip("o/out.mp4")[0]) == 5
