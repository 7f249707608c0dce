"""The live page is complete in one file, stays small, escapes names, and says what it does not do."""

import json
import re
from dataclasses import asdict, replace

import pytest
from live_pages import toy, unknown_pictures

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.export.network_page import MODULES, SOURCE, build_live_page
from tinysegnet.weights.checkpoint import Checkpoint

MOST_BYTES = 5e6  # of the page of `tiny`
HOSTILE = "</script><script>alert(1)</script><!-- {{ data }} <b>"


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


@pytest.fixture(scope="module")
def page():
    return build_live_page(toy())


def test_the_page_of_tiny_is_small_and_refers_to_nothing_outside(page):
    assert len(page.encode()) <= MOST_BYTES
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert not re.search(r"url\(|@import\s+[\"']", page.split("</style>")[0])
    assert "default-src 'none'" in page


def test_the_page_describes_network_and_training_pictures(page):
    data, loaded = data_of(page), toy()
    assert [each["name"] for each in data["network"]["classes"]] == list(loaded.palette.names)
    assert data["network"]["size"] == list(loaded.size)
    assert data["known"] == json.loads(json.dumps(asdict(loaded.training_pictures)))
    assert re.search("trained on pictures of 96 . 128 pixels", page)
    assert "float16" in page


def test_names_are_escaped():
    palette = ts.data.Palette((HOSTILE, "  "), ((1, 2, 3), (4, 5, 6)))
    model = ts.build("tiny", 2, width=1 / 8)
    model.config["name"] = HOSTILE
    page = build_live_page(Checkpoint(model, palette))
    assert "alert(1)</script>" not in page
    assert page.count("<!--") == 1  # the mark at the beginning
    assert [each["name"] for each in data_of(page)["network"]["classes"]] == [HOSTILE, "class 1"]


def test_only_networks_of_toy_streets_come_with_a_street(page):
    assert data_of(page)["sample"].startswith("data:image/png;base64,")
    loaded = toy()
    classes = replace(loaded.palette, names=tuple(f"other {k}" for k in range(11)))
    for changes in ({"training": {}}, {"training": {"input": asdict(unknown_pictures())}}, {"palette": classes}):
        assert data_of(build_live_page(replace(loaded, **changes)))["sample"] is None


def test_the_page_says_that_validation_averaged_views(page):
    assert "mirror images" not in page
    loaded = toy()
    assert "mirror images" in build_live_page(replace(loaded, training=loaded.training | {"mirror": True}))


def test_modules_import_only_earlier_modules():
    """Without circles, every script is embedded, and something imports it. Only the page itself starts the worker."""
    assert {f"{name}.js" for name in MODULES} == {path.name for path in SOURCE.iterdir() if path.name.endswith(".js")}
    imported = {"worker", "main"}
    for k, name in enumerate(MODULES):
        text = (SOURCE / f"{name}.js").read_text(encoding="utf-8")
        found = re.findall(r"^import .* from \"live/(.*)\.js\";$", text, re.M)
        assert set(found) <= set(MODULES[:k]), name
        imported.update(found)
    assert imported == set(MODULES)
    assert "import" not in re.findall(r"^\w+", (SOURCE / "forward.js").read_text(encoding="utf-8"), re.M)


def test_export_writes_the_page_and_keeps_existing_files(tmp_path, capsys, page):
    out = tmp_path / "new" / "net.html"
    assert main(["export", "toy", "--html", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == page
    assert "MB" in capsys.readouterr().out
    out.write_text("mine")
    assert main(["export", "toy", "--html", str(out)]) != 0
    assert out.read_text() == "mine"
