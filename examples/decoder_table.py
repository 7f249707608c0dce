"""The table and the picture of examples/decoder_study.py, beside the figures of the paper."""

import math
from statistics import mean

from matplotlib.ticker import MaxNLocator

from tinysegnet.viz.figures import new_figure, style_axes

# The paper's G, C, mIoU and BF in per cent on CamVid's 233 test pictures, with median-frequency weights and with
# natural weights. For the last two decoders, the paper has no figures; it says that they "performed quite poorly".
PAPER = {
    "bilinear-interpolation": ((77.9, 61.1, 43.3, 20.83), (82.7, 52.5, 43.8, 23.08)),
    "basic": ((82.7, 62.0, 47.7, 35.78), (84.0, 54.6, 46.3, 36.67)),
    "basic-encoder-addition": ((83.4, 63.6, 48.5, 35.92), (84.2, 56.5, 47.7, 36.27)),
    "basic-single-channel-decoder": ((81.2, 60.7, 46.1, 31.62), (83.5, 53.9, 45.2, 32.45)),
    "fcn-basic": ((81.7, 62.4, 47.3, 38.11), (83.9, 55.6, 45.0, 37.33)),
    "fcn-basic-no-addition": ((80.5, 58.6, 44.1, 31.96), (82.3, 53.9, 44.2, 29.43)),
    "fcn-basic-no-dim-reduction": ((84.1, 63.4, 50.1, 37.37), (83.5, 57.3, 47.0, 37.13)),
    "fcn-basic-no-addition-no-dim-reduction": ((80.5, 61.6, 45.9, 30.47), (83.7, 54.8, 45.5, 33.17)),
    "replication": (None, None),
    "fixed-index": (None, None),
}
WEIGHTS = {"median frequency": "median_frequency", "natural": "none"}
SCORES = ("G", "C", "mIoU", "BF")


def values(rows, decoder, weights, score):
    return [float(row[score]) for row in rows if (row["decoder"], row["weights"]) == (decoder, weights)]


def spread(rows, score):
    """Return the largest difference between two seeds of one network. Smaller differences count as ties."""
    found = [values(rows, name, weights, score) for name in PAPER for weights in WEIGHTS]
    return max((max(v) - min(v) for v in found if len(v) > 1), default=float("nan"))


def table(rows, times):
    """Return a Markdown table with the mean over the seeds and, in brackets, the paper's figure.

    times: the time of each decoder in milliseconds.
    """
    lines = ["| decoder | weights | parameters | crossing | ms | G | C | mIoU | BF |", "|---" * 9 + "|"]
    for weights in WEIGHTS:
        for name, published in PAPER.items():
            own = [row for row in rows if (row["decoder"], row["weights"]) == (name, weights)]
            if not own:
                continue
            theirs = published[list(WEIGHTS).index(weights)]
            cells = [f"{mean(values(rows, name, weights, score)):.1f}" + (f" ({theirs[i]:.1f})" if theirs else "")
                     for i, score in enumerate(SCORES)]  # fmt: skip
            crossing = f"{int(own[0]['crossing_bytes']) / 1e3:.0f} kB"
            cells = [name, weights, f"{int(own[0]['parameters']):,}", crossing, times.get(name, ""), *cells]
            lines.append(f"| {' | '.join(cells)} |")
    spreads = ", ".join(f"{score} {spread(rows, score):.1f}" for score in SCORES)
    ties = f"Two seeds of one network differ by up to {spreads}. Smaller differences are ties."
    if math.isnan(spread(rows, "mIoU")):
        ties = "With one seed, differences cannot be distinguished from chance, so there are no verdicts."
    return "\n".join([*lines, "", ties, "", *claims(rows)])


def claims(rows):
    """Return a Markdown table that compares the paper's conclusions with the differences measured here."""
    said = [
        (
            "bilinear interpolation is worse than the next worst decoder",
            "bilinear-interpolation",
            "fcn-basic-no-addition",
            -1,
        ),
        ("indices beat bilinear interpolation", "basic", "bilinear-interpolation", 1),
        ("indices beat replication", "basic", "replication", 1),
        ("indices beat a fixed corner", "basic", "fixed-index", 1),
        ("SegNet-Basic improves when the encoder's feature maps are added", "basic-encoder-addition", "basic", 1),
        ("a single-channel decoder is worse", "basic-single-channel-decoder", "basic", -1),
        ("FCN-Basic is about as good as SegNet-Basic", "fcn-basic", "basic", 0),
        ("FCN-Basic is worse without the addition", "fcn-basic-no-addition", "fcn-basic", -1),
        ("FCN-Basic improves with all feature maps", "fcn-basic-no-dim-reduction", "fcn-basic", 1),
    ]
    lines = ["| the paper's claim | mIoU here | BF here |", "|---|---|---|"]
    for text, one, other, sign in said:
        found = [verdict(rows, score, one, other, sign) for score in ("mIoU", "BF")]
        if all(found):
            lines.append(f"| {text} | {found[0]} | {found[1]} |")
    return lines


def verdict(rows, score, one, other, sign):
    """Compare the difference of two decoders' means with its sign in the paper, where 0 means about the same."""
    a, b = (values(rows, name, "median frequency", score) for name in (one, other))
    if not (a and b):
        return None
    difference = mean(a) - mean(b)
    luck = spread(rows, score)
    if math.isnan(luck):
        return f"{difference:+.1f}"
    if abs(difference) < luck:
        return f"{difference:+.1f}, a tie{'' if sign else ', as claimed'}"
    return f"{difference:+.1f}, {'holds' if math.copysign(1, difference) == sign else 'does not hold'}"


def picture(rows, theme):
    """Draw mIoU and BF, with one filled dot per seed and a hollow dot for the paper's figure."""
    figure = new_figure(11, 5.6, theme)
    names = list(PAPER)
    subtitles = {"mIoU": "median-frequency weights", "BF": "filled: one dot per seed; hollow: the paper"}
    for column, (score, subtitle) in enumerate(subtitles.items()):
        axes = figure.add_axes((0.29 + 0.36 * column, 0.1, 0.33, 0.74))
        style_axes(axes, theme, f"{score}, per cent", subtitle)
        axes.grid(axis="x", color=theme.grid, linewidth=0.8)
        for i, name in enumerate(names):
            ours = values(rows, name, "median frequency", score)
            axes.plot(ours, [i] * len(ours), "o", color=theme.mIoU, markersize=7, alpha=0.8, markeredgewidth=0)
            if PAPER[name][0]:
                theirs = PAPER[name][0][SCORES.index(score)]
                axes.plot(theirs, i, "o", markerfacecolor="none", markeredgecolor=theme.muted, markersize=7)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), names if column == 0 else [""] * len(names))
    return figure
