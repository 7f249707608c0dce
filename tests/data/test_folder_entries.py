"""Pictures and label maps may be given as text, as paths and as entries of a folder, and errors name the file."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysegnet.data import CAMVID
from tinysegnet.data.image_files import read_image
from tinysegnet.data.label_encoding import read_labels
from tinysegnet.data.label_files import read_label_pixels
from tinysegnet.errors import DataError

FORMS = pytest.mark.parametrize("form", [lambda entry: entry.path, lambda entry: Path(entry.path), lambda entry: entry],
                                ids=["text", "Path", "entry"])  # fmt: skip


def entry_of(picture, folder, form):
    """Save a picture as the only file of a folder, and return its path in this form."""
    picture.save(folder / "a.png")
    with os.scandir(folder) as entries:
        return form(next(entries))


@FORMS
def test_pictures_and_label_maps_are_read(tmp_path, form):
    values = np.array([[0, 1, 11], [3, 4, 5]], np.uint8)
    path = entry_of(Image.fromarray(values), tmp_path, form)
    np.testing.assert_array_equal(read_image(path)[..., 2], values)
    np.testing.assert_array_equal(read_label_pixels(path).values, values)
    for palette in (None, CAMVID):
        np.testing.assert_array_equal(read_labels(path, palette), values)


DARK = Image.fromarray(np.array([[1, 2]], np.uint16))
WRONG = [
    (read_image, DARK, "reaches 4096"),
    (read_label_pixels, Image.new("RGBA", (2, 2), (1, 2, 3, 4)), "transparent"),
    (read_labels, Image.new("RGBA", (2, 2), (1, 2, 3, 4)), "transparent"),
    (lambda path: read_labels(path, CAMVID), Image.new("L", (2, 2), 77), "77"),
    (lambda path: read_labels(path, CAMVID), Image.new("RGB", (2, 2), (1, 2, 3)), "colour 1 2 3"),
]  # fmt: skip


@FORMS
@pytest.mark.parametrize(("read", "picture", "said"), WRONG)
def test_errors_about_a_picture_name_its_file(tmp_path, form, read, picture, said):
    path = entry_of(picture, tmp_path, form)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{tmp_path / 'a.png'}: ")
    assert said in str(caught.value)


@FORMS
@pytest.mark.parametrize("read", [read_image, read_label_pixels, read_labels])
def test_errors_about_a_missing_file_name_it(tmp_path, form, read):
    path = entry_of(DARK, tmp_path, form)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png: no such file"):
        read(path)
