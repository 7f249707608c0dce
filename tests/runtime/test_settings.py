"""Settings are converted to the types of their annotations, or refused with a message that names the setting."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from tinysegnet.errors import SettingError
from tinysegnet.runtime.settings import check_at_least, convert, convert_fields


@pytest.mark.parametrize(("value", "hint", "expected"), [
    (np.int64(3), int, 3),
    (3, float, 3.0),
    (np.float32(0.5), float, 0.5),
    (None, int | None, None),
    ([1, 2], tuple[int, int], (1, 2)),
    ([1, 2, 3], tuple[float, ...], (1.0, 2.0, 3.0)),
    ("sgd", Literal["sgd", "adam"], "sgd"),
])  # fmt: skip
def test_a_suitable_value_becomes_a_plain_python_value(value, hint, expected):
    found = convert("setting", value, hint)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("value", "hint", "words"), [
    ("3", int, "a whole number"),
    (True, int, "a whole number"),
    (True, float, "a finite number"),
    (2.5, int, "a whole number"),
    (float("nan"), float, "a finite number"),
    (1, bool, "true or false"),
    (None, float, "a finite number"),
    ((1, 2, 3), tuple[int, int], "a list of 2 items of which each is a whole number"),
    ((), tuple[float, ...], "a list in which each item is a finite number"),
    ("rms", Literal["sgd", "adam"], "one of sgd, adam"),
    ("many", int | None, "a whole number or None"),
])  # fmt: skip
def test_another_value_is_refused_with_the_name_of_the_setting(value, hint, words):
    with pytest.raises(SettingError, match=r"^setting: ") as caught:
        convert("setting", value, hint)
    assert repr(value) in str(caught.value)
    assert words in str(caught.value)


@dataclass(frozen=True)
class Settings:
    epochs: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self):
        convert_fields(self)
        check_at_least(self, epochs=1)


def test_the_fields_of_a_dataclass_are_converted_and_checked():
    assert Settings(np.int64(2), [3, 4]) == Settings(2, (3, 4))
    with pytest.raises(SettingError, match=r"epochs: 0 .*at least 1"):
        Settings(0)
    with pytest.raises(SettingError, match=r"size: .*at least 5"):
        check_at_least(Settings(size=(7, 4)), size=5)
