"""The page of a walk contains the numbers of every step, is complete in one file, and stays small."""

import re
from importlib import import_module

import numpy as np
import pytest
from walk_pages import FIVE, IMAGE, NETWORKS, Page, labels_for, lively, network

import tinysegnet as ts
from tinysegnet.report.page_parts import inline
from tinysegnet.walk.payload import PLANS, Blobs, TooLarge, pack_weight
from tinysegnet.walk.trace import trace

PAGE = import_module("tinysegnet.walk.page")  # as ts.walk is the function
quick = pytest.mark.usefixtures("without_compiling")


@quick
@pytest.mark.parametrize("name", NETWORKS)
def test_page_contains_the_arrays_of_every_step(name):
    model = network(name)
    labels = labels_for(model)
    walk = ts.walk(model, IMAGE, labels, palette=None if name == "article" else FIVE)
    page, found = Page(walk.page), trace(model, IMAGE, labels, ignore_label=255)
    ways = [step["way"] for step in page.data["steps"]]
    layers = len(model.layers)
    assert ways == ["start", *["forward"] * layers, "answer", "loss", "loss backward", *["backward"] * layers]
    for passage, node in zip(found.layers, page.data["nodes"], strict=False):
        for key in ("x", "out", "dout", "dx"):
            array, exact = getattr(passage, key)[0], page.tensor(node[key])
            known = np.isfinite(exact)
            array = array[..., : exact.shape[2]]
            np.testing.assert_allclose(exact[known], array[known], rtol=1e-6, atol=1e-30)
            rows, columns = page.data["tensors"][node[key]]["grid"]
            assert known[np.ix_(rows, columns)].all()
            planes = page.planes(node[key]).transpose(1, 2, 0)
            scale = np.array(page.data["tensors"][node[key]]["scales"])
            clipped = np.clip(array[..., : planes.shape[2]], -scale, scale)
            assert np.abs(planes - clipped).max() <= 0.51 * scale.max() / 127


@quick
@pytest.mark.parametrize(
    ("name", "layer"), [("tiny", "decoder2.conv1"), ("basic", "encoder2.conv1"), ("article", "encoder2.conv1")]
)
def test_sums_at_clickable_pixels_can_be_computed_from_the_page(name, layer):
    model = network(name, width=1 / 8)
    page = Page(ts.walk(model, IMAGE, labels_for(model)).page)
    node = page.node(layer)
    x, out = page.tensor(node["x"]), page.tensor(node["out"])
    weight = page.numbers(node["weight"]["whole"]).reshape(node["weight"]["shape"]).astype(float)
    K, (top, left) = weight.shape[0], node["windows"]["before"]
    padded = np.pad(x, ((top, K), (left, K), (0, 0)))
    rows, columns = page.data["tensors"][node["out"]]["grid"]
    bias = page.numbers(node["vectors"]["bias"]) if "bias" in node["vectors"] else np.zeros(weight.shape[3])
    for y in rows:
        for column in columns:
            total = np.einsum("ijc,ijcf->f", padded[y : y + K, column : column + K], weight) + bias
            np.testing.assert_allclose(total, out[y, column], atol=1e-5 * np.abs(out[y, column]).max())


def test_page_contains_the_weights_of_the_shown_channels():
    weight, blobs = np.arange(3 * 3 * 40 * 50.0).reshape(3, 3, 40, 50), Blobs(10**9)
    packed = pack_weight(weight, {"large": 4, "small": 5}, blobs)
    reader = Page(
        'id="data">{}</script>' + "".join(f'id="blob{k}">{text}</script>' for k, text in enumerate(blobs.texts))
    )
    np.testing.assert_array_equal(reader.numbers(packed["large"]), weight[:, :, :4].ravel())
    np.testing.assert_array_equal(reader.numbers(packed["small"]), weight[..., :5].ravel())
    assert "whole" in pack_weight(weight, {"large": 30, "small": 30}, blobs)
    with pytest.raises(TooLarge):
        pack_weight(np.random.default_rng(0).standard_normal((3, 3, 40, 50)), {"small": 30}, Blobs(1000))


@quick
@pytest.mark.long
def test_page_of_96x128_pixels_is_at_most_25_MB():
    street = ts.data.open_dataset("toy", "val")[0]
    walk = ts.walk(ts.load_bundled("toy"), street.image, street.labels)
    assert walk.size <= 25e6
    page = Page(walk.page)
    for about in page.data["tensors"]:
        H, W, C = about["shape"]
        assert len(about["grid"][0]) * len(about["grid"][1]) >= min(64, H * W)
        assert about["shown"] == min(64, C)
    np.testing.assert_array_equal(walk.labels, ts.predict(ts.load_bundled("toy"), street.image))
    assert "the class is the same at every pixel" in str(page.data["overview"])


@quick
def test_page_of_a_large_network_shows_fewer_channels(monkeypatch):
    monkeypatch.setattr(PAGE, "PLANS", PLANS[-1:])
    model = lively("vgg16", width=1 / 4)
    page = Page(ts.walk(model, IMAGE, labels_for(model), palette=FIVE).page)
    assert max(about["shown"] for about in page.data["tensors"]) == 8
    node = page.node("encoder5.conv2")
    assert node["weight"]["shown"] == {"large": 8, "small": 8}
    assert len(page.numbers(node["weight"]["small"])) == 9 * 128 * 8


@quick
@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e38])
def test_walk_accepts_networks_with_infinities_and_nan(wrong):
    model = lively("tiny")
    model.layers["encoder2.conv1"].params["weight"][0, 0, 0, 0] = wrong
    page = Page(ts.walk(model, IMAGE, labels_for(model), palette=FIVE).page)
    broken = {node["name"]: page.data["tensors"][node["out"]]["statistics"]["broken"] for node in page.data["nodes"]}
    assert broken["encoder1.pool"] == 0
    assert broken["encoder2.conv1"] > 0 or wrong == 1e38


@quick
def test_walk_without_labels_has_no_backward_steps():
    page = Page(ts.walk(lively("tiny"), IMAGE).page)
    assert {step["way"] for step in page.data["steps"]} == {"start", "forward", "answer"}
    assert not page.data["labelled"]
    assert set(page.data["pictures"]) == {"picture", "prediction"}


def test_modules_have_no_circular_imports():
    modules = {f"walk/{path.name}": path.read_text(encoding="utf-8") for path in PAGE.SOURCE.glob("*.js")}
    package = PAGE.SOURCE.parents[1]
    modules["report/dom.js"] = (package / "report" / "dom.js").read_text(encoding="utf-8")
    modules["walk/forward.js"] = (package / "export" / "page_source" / "forward.js").read_text(encoding="utf-8")
    reached = set()

    def follow(name, above):
        assert name not in above, f"a circle: {' -> '.join([*above, name])}"
        imports = re.findall(r"^import .*? from \"(.*?)\";$|@import .*? from \"(.*?)\"", modules[name], re.M)
        for found in imports if name not in reached else ():
            follow(found[0] or found[1], [*above, name])
        reached.add(name)

    follow("walk/main.js", [])
    assert reached == set(modules), "modules that nothing imports"


@pytest.mark.parametrize(
    ("text", "part"),
    [("</script>", "</script"), ("<!-- a", "<!--"), ("'<SCRIPT'", "<SCRIPT"), ("</Style >", "</Style")],
)
def test_inline_rejects_code_that_ends_its_element(text, part):
    assert inline("if (a < b) c = '<b>';") == "if (a < b) c = '<b>';"
    with pytest.raises(ValueError, match=re.escape(part)):
        inline(f"x = {text}")


@quick
def test_page_escapes_titles_and_names():
    model = lively("tiny")
    walk = ts.walk(
        model, IMAGE, labels_for(model), palette=FIVE, title="</script><script>alert(1)</script><!-- {{ data }}"
    )
    assert "alert(1)</script>" not in walk.page
    assert "<b>land" not in walk.page
    page = Page(walk.page)
    assert page.data["title"].endswith("</script><!-- {{ data }}")
    assert walk.page.count("<!--") == 1  # the mark at the beginning
    assert [one["name"] for one in page.data["classes"]] == list(FIVE.names)
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", walk.page)


@quick
def test_notebooks_show_a_walk_in_a_frame():
    walk = ts.walk(lively("tiny"), IMAGE)
    shown = walk._repr_html_()
    assert shown.startswith("<iframe ")
    assert shown.count('"') == 6  # three attributes; the page itself is quoted
    assert len(repr(walk)) < 300


@quick
def test_save_writes_the_page(tmp_path):
    walk = ts.walk(lively("tiny"), IMAGE)
    walk.save(tmp_path / "walk.html")
    assert (tmp_path / "walk.html").read_bytes() == walk.page.encode()
    assert walk.size == (tmp_path / "walk.html").stat().st_size
    with pytest.raises(OSError, match="No such file"):
        walk.save(tmp_path / "nowhere" / "walk.html")
