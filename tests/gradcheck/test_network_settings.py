"""check_model on a network of one matrix, whose loss and gradients are known: settings, steps, state and hints."""

import inspect

import numpy as np
import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check_model
from tinysegnet.gradcheck.differences import Probe
from tinysegnet.gradcheck.network_check import _hint, _make_loss


class Matrix:
    """A network whose logits are x @ weight + bias, and that records its pictures."""

    def __init__(self, classes=4):
        self.weight, self.bias = np.random.default_rng(0).standard_normal((3, classes)) / 100, np.zeros(classes)
        self.statistic, self.layers, self.factor, self.pictures = np.zeros(2), {}, 1.0, []

    def forward(self, x, *, training=False):
        assert training
        assert not self.statistic.any()
        self.statistic += 1  # as a running statistic
        self.x = x.copy()
        self.pictures.append(self.x)
        return x @ self.weight + self.bias

    def backward(self, dout, *, input_gradient=True):
        assert input_gradient
        flat = self.x.reshape(-1, 3)
        self.grads = {"weight": self.factor * flat.T @ dout.reshape(len(flat), -1), "bias": dout.sum((0, 1, 2))}
        return dout @ self.weight.T

    def named_parameters(self):
        return iter({"weight": self.weight, "bias": self.bias}.items())

    def named_gradients(self):
        return iter(self.grads.items())

    def named_buffers(self):
        return iter({"statistic": self.statistic}.items())


def test_the_settings_have_the_documented_defaults():
    defaults = {name: p.default for name, p in inspect.signature(check_model).parameters.items()}
    assert defaults | {"model": 0} == {"model": 0, "x": None, "labels": None, "size": (20, 28), "loss": "cross_entropy",
                                       "seed": 0, "h": 1e-5, "rtol": 1e-7, "floor": 10.0, "directions": 2,
                                       "entries": 2}  # fmt: skip


def test_random_pictures_are_two_of_the_given_size_with_all_brightnesses():
    model = Matrix()
    report = check_model(model, size=(6, 7), loss="random", seed=5, h=1e-4)
    assert report.ok, f"\n{report}"
    x = model.pictures[0]
    assert x.shape == (2, 6, 7, 3)
    assert 0 <= x.min() < 10 < 245 < x.max() <= 255
    assert report.title == "Matrix at 2x6x7x3, random"
    assert report.reproduce == "check_model(model, seed=5, h=0.0001)"
    assert [t.name for t in report.tensors] == ["x", "weight", "bias"]
    assert [len(t.probes) for t in report.tensors] == [4, 4, 4]
    other = Matrix()
    check_model(other, size=(6, 7), loss="random", seed=6)
    assert not np.array_equal(other.pictures[0], x)


def test_given_pictures_and_labels_are_used():
    x, labels = np.random.default_rng(1).uniform(0, 255, (1, 4, 5, 3)), np.full((1, 4, 5), 255)
    labels[0, 2, 3] = 1
    model = Matrix()
    report = check_model(model, x, labels)
    assert report.ok
    np.testing.assert_array_equal(model.pictures[0], x)
    assert np.argwhere(report.tensor("x").analytic.any(-1)).tolist() == [[0, 2, 3]]


def test_numbers_of_directions_and_entries_and_the_rule_are_those_given():
    x = np.full((1, 2, 2, 3), 3.0)
    report = check_model(Matrix(), x, loss="random", directions=3, entries=1, h=1e-4, rtol=0.25, floor=0)
    for tensor in report.tensors:
        assert [p.where for p in tensor.probes[:3]] == ["direction 0", "direction 1", "direction 2"]
        assert len(tensor.probes) == 4
        for probe in tensor.probes:
            assert probe.allowed == pytest.approx(0.25 * max(abs(probe.analytic), abs(probe.numeric)))


def test_the_step_grows_with_the_values_above_one():
    """The picture's root mean square is 50; those of the parameters are below 1."""
    x = np.full((1, 3, 2, 3), 30.0)
    x[:, 1:2] = 10 * np.sqrt(57)  # (2 * 900 + 5700) / 3 = 2500
    report = check_model(Matrix(), x, loss="random")
    assert [p.h for p in report.tensor("x").probes] == pytest.approx([50e-5] * 4)
    assert [p.h for p in report.tensor("weight").probes] == [1e-5] * 4


def test_rounding_noise_is_in_units_of_the_sum_of_the_sizes_of_all_terms():
    model = Matrix()
    model.bias[...] = -1e3
    report = check_model(model, np.ones((2, 3, 4, 3)), loss="random", rtol=0, floor=100)
    gradient = report.tensor("bias").analytic  # the sum of dout; the logits are nearly -1000
    for probe in report.tensor("weight").probes:
        F = probe.allowed * 1e-5 / (100 * 2.0**-52)
        assert 1e3 * np.abs(gradient).sum() < F
        assert pytest.approx(1e3 * 2 * 3 * 4 * 4 * np.sqrt(2 / np.pi), rel=0.2) == F


def test_the_state_is_restored_before_each_evaluation_and_at_the_end():
    model = Matrix()
    before = model.weight.copy()
    check_model(model, size=(2, 3))  # Matrix.forward asserts the statistic
    np.testing.assert_array_equal(model.weight, before)
    assert not model.statistic.any()


class Noisy(Matrix):
    """A network with dropout in a layer that has its own generator."""

    def __init__(self):
        super().__init__()
        self.layers = {"dropout": self}
        self.rng = np.random.default_rng(1)

    def forward(self, x, *, training=False):
        return super().forward(x * (self.rng.random(x.shape) < 0.5), training=training)

    def backward(self, dout, *, input_gradient=True):
        return super().backward(dout) * (self.x != 0)


def test_generators_of_layers_are_restored():
    model = Noisy()
    owner = type("Owner", (), {})()
    owner.rng = model.__dict__.pop("rng")
    model.layers = {"other": type("Plain", (), {})(), "dropout": owner}
    Noisy.rng = property(lambda self: owner.rng)
    try:
        state = owner.rng.bit_generator.state
        report = check_model(model, size=(2, 3), loss="random")
        assert report.ok, f"\n{report}"
        assert owner.rng.bit_generator.state == state
    finally:
        del Noisy.rng


@pytest.mark.parametrize(("classes", "labels"), [(4, None), (1, None), (4, 1), (1, 1)])
def test_the_loss_has_void_pixels_and_class_weights(classes, labels):
    """Compared with a plain definition; a single logit z means the two logits 0 and z."""
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((2, 40, 50, classes))
    given = None if labels is None else np.full((2, 40, 50), labels)
    loss = _make_loss("cross_entropy", given, np.random.default_rng(3))
    terms, gradient = loss(logits)
    again, _ = loss(logits)
    np.testing.assert_array_equal(again, terms)
    drawn = np.random.default_rng(3)
    void = drawn.random((2, 40, 50)) < 0.1
    expected = drawn.integers(0, max(2, classes), (2, 40, 50))
    weights = drawn.uniform(0.5, 1.5, max(2, classes))
    void = void if labels is None else np.zeros_like(void)
    expected = expected if labels is None else given
    two = logits if classes > 1 else np.concatenate([0 * logits, logits], -1)
    probs = np.exp(two) / np.exp(two).sum(-1, keepdims=True)
    losses = -np.log(np.take_along_axis(probs, expected[..., None], -1)[..., 0]) * weights[expected]
    assert terms.shape == (1,)
    assert terms[0] == pytest.approx(losses[~void].sum() / (~void).sum())
    assert not gradient()[void].any()
    assert void.mean() == pytest.approx(0.1 if labels is None else 0, abs=0.02)


def test_label_255_is_void():
    labels = np.full((1, 2, 3), 255)
    labels[0, 0, 1] = 2
    gradient = _make_loss("cross_entropy", labels, np.random.default_rng(3))(np.zeros((1, 2, 3, 4)))[1]()
    assert [tuple(index) for index in np.argwhere(gradient.any(-1))] == [(0, 0, 1)]


def test_the_random_loss_has_one_fixed_normal_dout():
    loss = _make_loss("random", None, np.random.default_rng(0))
    logits = np.full((1, 20, 30, 4), 2.0)
    terms, gradient = loss(logits)
    np.testing.assert_array_equal(terms, 2 * gradient())
    np.testing.assert_array_equal(loss(logits)[1](), gradient())
    assert gradient().std() == pytest.approx(1, rel=0.1)
    with pytest.raises(ShapeError, match=r"'l2'"):
        check_model(Matrix(), size=(2, 3), loss="l2")


def test_a_network_that_is_not_float64_is_refused_by_name():
    model = Matrix()
    model.bias = model.bias.astype(np.float32)
    with pytest.raises(ShapeError, match="bias is float32"):
        check_model(model)


@pytest.mark.parametrize(("grads", "message"), [
    ({"bias": np.zeros(4)}, r"weight has shape \(3, 4\), but its gradient does not exist"),
    ({"weight": np.zeros((4, 3)), "bias": np.zeros(4)}, r"weight .*its gradient has shape \(4, 3\)"),
])  # fmt: skip
def test_each_parameter_needs_a_gradient_of_its_shape(grads, message):
    model = Matrix()
    model.named_gradients = lambda: iter(grads.items())
    with pytest.raises(ShapeError, match=message):
        check_model(model, size=(2, 3))


def test_problems_of_the_forward_are_reported():
    model = Matrix()
    model.weight[0, 0] = np.nan
    assert "the loss is NaN or infinite" in check_model(model, size=(2, 3)).problems[0]
    calls = []
    for name, signature in (("branches", lambda: bytes([len(calls) % 7])), ("none", lambda: b"same")):
        model = Matrix()
        model.branch_signature = lambda signature=signature: calls.append(1) or signature()
        problems = check_model(model, size=(2, 3), directions=1, entries=0).problems
        assert [("two forwards" in p) for p in problems] == ([True] if name == "branches" else [])


def probes(*slopes):
    return [Probe((0,), a, n, 1e-9, 1e-5, status=status) for a, n, status in slopes]


def test_hints_of_networks_explain_zeros_and_factors():
    assert _hint(probes((1, 1, "ok"), (3, 9, "crossed"))) is None
    assert "gradient is zero" in _hint(probes((0, 1, "wrong"), (0, 2, "wrong"), (5, 5, "ok")))
    assert "gradient is zero" not in _hint(probes((0, 1, "wrong"), (1, 2, "wrong")))
    assert _hint(probes((1, 2.5, "wrong"), (2, 5, "wrong"))).startswith("numeric = 2.5 x analytic in every probe")
    assert _hint(probes((-2, 4, "wrong"), (3, -6, "wrong"), (0, 1, "wrong"))).startswith("numeric = -2 x analytic")
    for apart, found in ((0.9e-4, True), (1.1e-4, False)):
        text = _hint(probes((1, 2, "wrong"), (1, 2 * (1 - apart), "wrong")))
        assert ("a factor is missing" in text) == found
        assert ("closest to the output" in text) != found
    assert "closest to the output" in _hint(probes((1, 2, "wrong")))


def test_a_wrong_factor_of_a_parameter_is_found_and_named():
    model = Matrix()
    model.factor = 0.5
    report = check_model(model, size=(3, 4))
    assert [t.name for t in report.tensors if not t.ok] == ["weight"]
    assert "numeric = 2 x analytic" in report.tensor("weight").hint
    assert report.tensor("x").hint is None
