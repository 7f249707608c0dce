"""The folder of the kernel cache is where each system keeps the caches of a user."""

from pathlib import Path

import pytest

from tinysegnet.runtime import kernel_cache


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("linux", {}, "home/.cache/tinysegnet"),
        ("linux", {"XDG_CACHE_HOME": "caches"}, "caches/tinysegnet"),
        ("darwin", {"XDG_CACHE_HOME": "caches"}, "home/Library/Caches/tinysegnet"),
        ("win32", {}, "home/AppData/Local/tinysegnet"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/tinysegnet"),
        ("win32", {"LOCALAPPDATA": "local", "TINYSEGNET_CACHE": "mine"}, "mine"),
    ],
)
def test_each_system_has_its_folder(monkeypatch, system, variables, folder):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "TINYSEGNET_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kernel_cache.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert kernel_cache.user_cache() == Path(folder)
