"""A file that `write_atomically` writes is always either the old file or the new one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinysegnet.files import write_atomically


def test_a_write_creates_or_replaces_the_file_and_leaves_no_other(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    for content in (b"old", b"", b"new" * 100_000):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["weights.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_the_permissions_of_a_new_file_follow_the_umask(tmp_path: Path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"1")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_write_through_a_link_keeps_the_link(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_the_longest_file_names_can_be_written(tmp_path: Path):
    write_atomically(tmp_path / ("n" * 250), b"1")
    assert (tmp_path / ("n" * 250)).read_bytes() == b"1"


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call, error):
    path = tmp_path / "last.safetensors"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["last.safetensors"]


def test_the_content_is_synced_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b))[1])
    write_atomically(tmp_path / "a", b"1")
    assert order == ["fsync", "replace"] + ["fsync"] * (os.name == "posix")


def test_a_missing_folder_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "a", b"1")


DISK_FULL = """
import resource, sys
from tinysegnet.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(sys.argv[1], b"n" * 100_000)
except OSError as error:
    print("OSError", error.errno)
"""


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_a_full_disk_leaves_the_old_file_unchanged(tmp_path: Path):
    path = tmp_path / "best.safetensors"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", DISK_FULL, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("OSError"), done.stderr
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["best.safetensors"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "a", b"new")
    finally:
        tmp_path.chmod(0o755)
    assert (tmp_path / "a").read_bytes() == b"old"
