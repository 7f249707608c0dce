"""The numbers of the fragments are those of the library or of NumPy, and follow pointer, keyboard and sliders."""

import numpy as np
import pytest
from browser import launched
from forms import amount
from fragment_pages import Shown

from tinysegnet import ops
from tinysegnet.models import Network
from tinysegnet.models.layer_builder import LayerBuilder
from tinysegnet.models.segnet import SegNetConfig

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


# --- convolution ------------------------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_convolution_is_the_librarys(browser, tmp_path):
    with Shown(browser, tmp_path, "convolution") as shown:
        for _ in range(amount(20, 100)):
            H, W, stride, same = *RNG.integers(3, 12, 2).tolist(), int(RNG.integers(1, 3)), bool(RNG.integers(2))
            H, W = (H | 1, W | 1) if same else (H, W)  # in even sizes, "same" with stride 2 pads one side only
            x, kernel = RNG.integers(0, 10, (H, W)), RNG.normal(size=(3, 3))
            arrays = x[None, :, :, None].astype(float), kernel[:, :, None, None]
            out, _ = ops.conv2d_forward(*arrays, stride=stride, padding="same" if same else "valid")
            mine = shown.call("conv2d", x.tolist(), kernel.tolist(), stride, int(same))
            np.testing.assert_allclose(mine, out[0, :, :, 0], atol=1e-12)


def test_convolution_shows_every_product(browser, tmp_path):
    with Shown(browser, tmp_path, "convolution") as shown:
        shown.press("sharpen")
        shown.press("valid")
        shown.press("2")
        assert shown.text("h2 >> text=out,") == "out, 4 \N{MULTIPLICATION SIGN} 5"
        outputs = shown.frame.locator('.board[aria-label^="output"]')
        outputs.locator('[data-row="1"][data-column="2"]').hover()
        products = [float(text.removeprefix("= ").replace("\N{MINUS SIGN}", "-"))
                    for text in shown.frame.locator(".product").all_inner_texts()]  # fmt: skip
        total = float(shown.text(".sum b >> nth=1"))
        assert sum(products) == total == float(shown.board("output")[1][2].replace("\N{MINUS SIGN}", "-"))
        shown.drag("kernel row 1, column 1", 0)
        assert float(shown.text(".sum b >> nth=1")) == total - products[4]


def test_window_moves_and_the_output_grows(browser, tmp_path):
    with Shown(browser, tmp_path, "convolution") as shown:
        for steps, filled in ((1, 0), (9, 1), (9, 2)):
            for _ in range(steps):
                shown.press("one product")
            assert sum(text != "" for row in shown.board("output") for text in row) == filled
        shown.press("restore")
        shown.frame.locator("button", has_text="play").click()
        shown.frame.locator(".cell.empty").nth(95).wait_for(state="detached")
        shown.frame.locator("button", has_text="pause").click()


def test_picture_is_drawn_with_pointer_and_keyboard(browser, tmp_path):
    with Shown(browser, tmp_path, "convolution") as shown:
        cells = shown.frame.locator('.board[aria-label^="picture"]')
        start, end = (cells.locator(f'[data-row="2"][data-column="{column}"]').bounding_box() for column in (2, 5))
        mouse = shown.page.mouse
        mouse.move(start["x"] + 9, start["y"] + 9)
        mouse.down()
        mouse.move(end["x"] + 9, end["y"] + 9, steps=20)
        mouse.up()
        assert shown.board("picture")[2][2:6] == ["0"] * 4
        cells.locator('[data-row="5"][data-column="5"]').focus()
        for key in ("ArrowRight", "7", "ArrowDown", "9", "-"):
            shown.page.keyboard.press(key)
        assert [shown.board("picture")[row][6] for row in (5, 6)] == ["7", "8"]


# --- slope ------------------------------------------------------------------------------------------------------------


def test_slope_and_its_error_are_those_of_numpy(browser, tmp_path):
    x, y = np.array([2.0, 0, 1, 3, 1]), np.array([1, 1, -1, 1, -1])

    def loss(w):
        out = sum(np.pad(x, 1)[k : k + 5] * w[k] for k in range(3))
        return np.log(1 + np.exp(-y * out)).sum(), -y / (1 + np.exp(y * out))

    with Shown(browser, tmp_path, "slope") as shown:
        for i, t, power, kind in ((0, 1.5, -1, "forward"), (1, -2, -5, "central"), (2, 0.35, -9, "forward")):
            for button in (f"w[{i}]", kind):
                shown.press(button)
            shown.drag("value", t)
            shown.drag("step h", power)
            w = np.array(shown.frame.evaluate("state.w"))
            assert w[i] == t
            exact = np.pad(x, 1)[i : i + 5] @ loss(w)[1]
            up, down = w + 10**power * np.eye(3)[i], w - (kind == "central") * 10**power * np.eye(3)[i]
            measured = (loss(up)[0] - loss(down)[0]) / (up[i] - down[i])
            *_, first, second, error = shown.frame.locator("dd").all_inner_texts()
            first, second, error = (float(text.replace("\N{MINUS SIGN}", "-")) for text in (first, second, error))
            assert second == pytest.approx(exact, rel=1e-12)
            assert first == pytest.approx(measured, abs=2e-15 / 10**power, rel=1e-9)
            assert error == pytest.approx(abs(first - second), rel=0.01, abs=1e-12)


def test_error_of_the_slope_is_smallest_in_the_middle(browser, tmp_path):
    with Shown(browser, tmp_path, "slope") as shown:
        errors = {}
        for power in (0, -7, -12):
            shown.drag("step h", power)
            errors[power] = float(shown.text("dd >> nth=4"))
        assert errors[-7] < errors[-12] / 10 < errors[0]


# --- pooling ----------------------------------------------------------------------------------------------------------


def test_pooling_is_the_librarys_with_odd_sizes_and_ties(browser, tmp_path):
    with Shown(browser, tmp_path, "pooling") as shown:
        for _ in range(amount(30, 200)):
            x = RNG.integers(0, 4, RNG.integers(1, 9, 2))  # few values, so that ties are common
            (out, indices), _ = ops.max_pool2d_forward(x[None, :, :, None].astype(float))
            position = ops.unpack_indices(indices, 1)
            mine = shown.call("maxPool", x.tolist())
            np.testing.assert_array_equal(mine["out"], out[0, :, :, 0])
            np.testing.assert_array_equal(mine["position"], position[0, :, :, 0])
            restored, _ = ops.max_unpool2d_forward(out, indices, output_size=x.shape)
            back = shown.call("maxUnpool", mine["out"], mine["position"], *x.shape)
            np.testing.assert_array_equal(back, restored[0, :, :, 0])


def test_a_tie_is_shown_and_the_first_maximum_wins(browser, tmp_path):
    with Shown(browser, tmp_path, "pooling") as shown:
        for name, size in (("rows", 3), ("columns", 3)):
            shown.drag(name, size)
        assert [len(row) for row in shown.board("x;")] == [3] * 3
        first = shown.frame.locator('.board[aria-label^="x;"] .cell').first
        first.focus()
        shown.page.keyboard.press("6")
        assert "2 numbers are equal, and the first one wins" in shown.text(".sum")
        assert shown.board("indices")[0][0] == "00"
        assert shown.board("unpooled")[0][:2] == ["6", "0"]
        first.click()
        assert shown.board("pooled")[0][0] == "7"
        assert shown.frame.locator(".cell.tie").count() == 0
        shown.frame.locator('.board[aria-label="pooled"] .cell').last.hover()
        assert "The picture ends inside this window" in shown.text(".sum")


def test_an_outline_dissolves_without_indices(browser, tmp_path):
    with Shown(browser, tmp_path, "pooling") as shown:
        for depth in (1, 2, 3):
            shown.drag("pools", depth)
            told = shown.text(".shapes + .sum").replace(" of ", " ").replace(",", "").split()
            kept, restored, lost, same = (int(word) for word in told if word.isdigit())
            assert kept == restored == same > 1.5 * lost
        shown.press("in a fixed corner")
        assert all(row[1::2] == ["0"] * 2 for row in shown.board("unpooled"))


# --- network ----------------------------------------------------------------------------------------------------------


def library_numbers(stages, channels, H, W, K, doubled):
    widths = [channels * 2 ** (k * doubled) for k in range(stages)]
    encoder, decoder = [(width,) for width in widths], [(width,) for width in [widths[0], *widths[:-1]]]
    config = SegNetConfig(tuple(encoder), tuple(decoder[::-1]), kernel_size=K, bias=False)
    network = Network(config.layers(11, LayerBuilder(None, np.float32, config.preprocessing)), {"num_classes": 11})
    summary, layers = network.summary((H, W)), [f"encoder{stages}.pool", "classifier"]
    sizes = {row.name: row.output_shape[1:3] for row in summary.rows}
    fields = [network.receptive_field(name, tuple(side // 2 for side in sizes[name]), (H, W)).size for name in layers]
    return [*(summary.total(column) for column in ("parameters", "kept", "indices")), *map(list, fields)]


def test_network_has_the_costs_and_fields_of_the_librarys(browser, tmp_path):
    with Shown(browser, tmp_path, "network") as shown:
        for _ in range(amount(40, 300)):
            stages, channels = int(RNG.integers(1, 6)), int(RNG.integers(2, 33)) * 2
            H, W, K, doubled = *RNG.integers(8, 129, 2).tolist(), int(RNG.choice([1, 3, 5, 7])), bool(RNG.integers(2))
            for name, value in (("stages", stages), ("channels", channels), ("rows", H), ("columns", W),
                                ("kernel size", K)):  # fmt: skip
                shown.drag(name, value)
            shown.press("channels double" if doubled else "channels stay")
            costs = shown.frame.evaluate("""(() => { const convs = convolutions(state), count = state.stages; return [
                sum(convs.map((conv) => parameters(conv, state.K))), sum(convs.map(keptBytes)),
                sum(convs.slice(0, count).map(indexBytes))] })()""")
            facts = shown.frame.locator(".totals b").all_inner_texts()
            fields = [[int(side) for side in fact.split(" \N{MULTIPLICATION SIGN} ")] for fact in facts[-2:]]
            assert int(facts[0].replace(",", "")) == costs[0]
            assert [*costs, *fields] == library_numbers(stages, channels, H, W, K, doubled)


# --- learning rate ----------------------------------------------------------------------------------------------------


def test_descent_is_that_of_numpy_and_diverges_above_the_limit(browser, tmp_path):
    with Shown(browser, tmp_path, "learning_rate") as shown:
        x, target = np.array(shown.frame.evaluate("X"), float), np.array(shown.frame.evaluate("TARGET"), float)
        hessian = x.T @ x / len(x)
        largest = np.linalg.eigvalsh(hessian)[::-1]
        np.testing.assert_allclose(shown.call("curvatures", x.tolist()), largest, rtol=1e-12)
        for momentum in (0, 0.5, 0.9):
            limit = 2 * (1 + momentum) / largest[0]
            for rate in (0.98 * limit, 1.02 * limit):
                w, velocity, path = np.array([2.0, 2.0]), np.zeros(2), [[2.0, 2.0]]
                for _ in range(100):
                    velocity = momentum * velocity + x.T @ (x @ w - target) / len(x)
                    w = w - rate * velocity
                    path.append(w.tolist())
                mine = shown.call("descent", x.tolist(), target.tolist(), [2, 2], rate, momentum, 100)
                np.testing.assert_allclose(np.array(mine, float), path, rtol=1e-9, atol=1e-9)
                assert (np.abs(w - [-1, 1]).max() < 0.1) == (rate < limit)
        for power, told in ((-1, "converges"), (-0.5, "diverges")):
            shown.drag("learning rate", power)
            assert told in shown.text(".sum")
        shown.drag("momentum", 0.9)
        assert "converges" in shown.text(".sum")


def test_start_of_the_path_moves_with_pointer_and_keyboard(browser, tmp_path):
    with Shown(browser, tmp_path, "learning_rate") as shown:
        valley = shown.frame.locator("svg[tabindex]")
        valley.click(position={"x": 30, "y": 40})
        before = shown.frame.evaluate("state.start")
        valley.press("ArrowRight")
        valley.press("ArrowDown")
        assert shown.frame.evaluate("state.start") == pytest.approx([before[0] + 0.1, before[1] - 0.1])


# --- journey ----------------------------------------------------------------------------------------------------------


def test_every_number_of_the_journey_is_the_librarys(browser, tmp_path):
    with Shown(browser, tmp_path, "journey") as shown:
        arrays = [np.array(shown.frame.evaluate(name), float) for name in ("ENCODER", "DECODER")]
        encoder, decoder = (np.moveaxis(array, (0, 1), (3, 2)) for array in arrays)
        biases = [np.array(shown.frame.evaluate(f"{name}_BIAS"), float) for name in ("ENCODER", "DECODER")]
        for _ in range(amount(20, 100)):
            x = RNG.integers(0, 10, (4, 4))
            conv, _ = ops.conv2d_forward(x[None, :, :, None].astype(float), encoder, biases[0])
            (pooled, indices), _ = ops.max_pool2d_forward(np.maximum(conv, 0))
            unpooled, _ = ops.max_unpool2d_forward(pooled, indices, output_size=(4, 4))
            logits, _ = ops.conv2d_forward(unpooled, decoder, biases[1])
            expected = {"conv": conv, "ReLU": np.maximum(conv, 0), "pooled": pooled, "unpooled": unpooled,
                        "indices": ops.unpack_indices(indices, 2), "logits": logits,
                        "prediction": logits.argmax(3)[..., None]}  # fmt: skip
            mine = shown.call("network", x.tolist())
            for stage, array in expected.items():
                np.testing.assert_allclose(np.moveaxis(mine[stage], 0, 2), array[0], atol=1e-12, err_msg=stage)


def test_every_number_of_the_journey_shows_its_sum(browser, tmp_path):
    with Shown(browser, tmp_path, "journey") as shown:
        for cell in shown.frame.locator('.board[aria-label^="logits"] .cell').all()[:: amount(5, 1)]:
            cell.click()
            shown_number, total = cell.inner_text(), shown.text(".sum tbody tr:last-child td:last-child")
            assert float(shown_number.replace("\N{MINUS SIGN}", "-")) == pytest.approx(float(total), abs=0.06)
            assert shown.frame.locator(".frame.source").count() == 2


def test_a_changed_pixel_changes_what_follows(browser, tmp_path):
    with Shown(browser, tmp_path, "journey") as shown:
        before = shown.board("logits, lamp")
        shown.frame.locator('.board[aria-label="x"] .cell').first.focus()
        shown.page.keyboard.press("9")
        assert shown.board("x")[0][0] == "9"
        shown.press("\N{MINUS SIGN} 1")
        assert shown.board("x")[0][0] == "8"
        assert shown.board("logits, lamp") != before
