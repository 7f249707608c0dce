"""Unexpected errors and full disks cause one line, and --debug shows where an error comes from."""

import pytest

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.weights import checkpoint


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_unexpected_error_is_one_line(workplace, capsys, monkeypatch):
    def fails(*arguments, **settings):
        raise RuntimeError("never\n seen")

    monkeypatch.setattr("tinysegnet.gradcheck.run", fails)
    assert main(["gradcheck"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: RuntimeError: never seen.")
    assert "--debug" in err
    assert err.count("\n") == 1


def test_debug_shows_where_an_error_comes_from(workplace):
    with pytest.raises(ts.errors.CheckpointError):
        main(["evaluate", "none.safetensors", "--debug"])


def test_a_full_disk_is_exit_code_1(workplace, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    options = ["--limit", "2", "--epochs", "1", "--size", "20x28", "--width", "0.1", "--runs", "r"]
    assert main(["train", *options]) == 1
    assert "No space left on device" in capsys.readouterr().err
