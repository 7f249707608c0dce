"""The objects along a toy street: houses, trees, hedges and fences.

Each function draws one object on a `Canvas`, in metres, and labels its polygons with its class.
"""

import numpy as np

from .drawing import BUILDING, FENCE, TREE, Canvas, Sheet
from .paints import DARK, GLASS, LAMPLIGHT, WHITE, Color, between, chance, mix, paint, pick

WALLS: tuple[Color, ...] = ((196, 98, 74), (222, 160, 96), (236, 208, 152), (244, 234, 214), (214, 202, 186),
                            (178, 138, 108), (222, 142, 138), (160, 92, 76))  # fmt: skip
GREENS: tuple[Color, ...] = ((92, 134, 74), (70, 112, 72), (126, 156, 82), (58, 96, 84), (108, 142, 60))
LEAVES = (*GREENS * 3, (196, 128, 58), (178, 84, 52), (206, 170, 74), (222, 168, 172), (128, 96, 66))
BARK: tuple[Color, ...] = ((96, 74, 58), (122, 104, 88), (70, 58, 56), (166, 156, 144))
PALINGS: tuple[Color, ...] = ((232, 230, 222), (232, 230, 222), (140, 96, 68), (110, 80, 62), (112, 136, 130))


def house(canvas: Canvas, rng: np.random.Generator, x: float, start: float, end: float, gable_end: bool) -> None:
    """Draw a house whose front, at x, extends from z = start to z = end. With gable_end, its side wall has windows."""
    color, height = paint(rng, WALLS, 0.85), between(rng, 4.5, 13.0)
    width, depth = end - start, 9.0 if x > 0 else -9.0
    trim = mix(color, pick(rng, (WHITE, DARK)), 0.35)
    front = canvas.along(x, start, canvas.wall_light(x))
    flank = canvas.facing(x, start, light=1.0 - 0.12 * canvas.mood.shadow)
    pitched = chance(rng, 0.45)
    if pitched:
        _roof(canvas, rng, (x, height, start), width, depth / 2)
    flank.box(0, 0, depth, height, color, BUILDING)
    if pitched:
        flank.polygon(((0, height), (depth / 2, height + 2.6), (depth, height)), color, BUILDING)
    if gable_end:
        windows(flank, rng, min(depth, 0.0), max(depth, 0.0), 0.4, height, trim)
    front.box(0, 0, width, height, color, BUILDING)
    if not pitched:
        _parapet(front, rng, width, height, color, trim)
    ground_floor = _ground_floor(front, rng, width, trim)
    windows(front, rng, 0, width, ground_floor, height, trim)


def _roof(canvas: Canvas, rng: np.random.Generator, eaves: Color, width: float, ridge: float) -> None:
    """Draw a roof from the eaves at (x, y, z) to the ridge, `ridge` metres behind them, sometimes with a chimney."""
    x, height, start = eaves
    if chance(rng, 0.5):
        chimney = canvas.facing(x + 0.8 * ridge, start + width / 2)
        chimney.box(-0.5, height + 1.0, 0.5, height + 3.6, paint(rng), BUILDING)
    slope = Sheet(canvas, eaves, (0, 0, 1), (ridge, 2.6, 0), 0.95)
    tiles = paint(rng)
    slope.box(0, 0, width, 1, tiles, BUILDING)
    for row in (0.25, 0.5, 0.75):
        slope.box(0, row, width, row + 0.07, mix(tiles, DARK, 0.3))


def _parapet(front: Sheet, rng: np.random.Generator, width: float, height: float, color: Color, trim: Color) -> None:
    form = int(rng.random() * 3)
    if form == 0:
        front.polygon(((0, height), (width / 2, height + 2.2), (width, height)), color, BUILDING)
        front.disc(width / 2, height + 0.6, 0.4, mix(color, DARK, 0.5))
    elif form == 1:
        for step in (0.15, 0.32):
            front.box(width * step, height, width * (1 - step), height + 5 * step, color, BUILDING)
    front.box(0, height - 0.35, width, height, trim, BUILDING)


def _ground_floor(front: Sheet, rng: np.random.Generator, width: float, trim: Color) -> float:
    """Draw a door, or a shop window with an awning. Returns the height in metres at which the windows begin."""
    door = between(rng, 0.1, 0.6) * width
    if chance(rng, 0.45):
        glass = LAMPLIGHT if chance(rng, front.canvas.mood.lamps) else pick(rng, GLASS)
        front.box(0.06 * width, 0.5, 0.7 * width, 2.4, glass)
        front.box(0.76 * width, 0, 0.94 * width, 2.4, paint(rng))
        awning, stripe = paint(rng), mix(paint(rng), WHITE, 0.7)
        for i in range(6):
            left = width * (0.04 + 0.92 * i / 6)
            front.box(left, 2.45, left + 0.92 * width / 6, 3.15, stripe if i % 2 else awning)
        return 3.4
    front.box(door - 0.15, 0, door + 1.25, 2.5, trim)
    front.box(door, 0, door + 1.1, 2.35, paint(rng))
    if chance(rng, 0.5):
        front.box(0, 0, width, 0.5, mix(trim, DARK, 0.25))
    return 2.9 if door < 0.5 * width else 0.7


def windows(wall: Sheet, rng: np.random.Generator, left: float, right: float, bottom: float, top: float,
            trim: Color) -> None:  # fmt: skip
    """Draw rows of windows, some of them lit, between two heights of a wall."""
    lamps = wall.canvas.mood.lamps
    glass, shutters = pick(rng, GLASS), (paint(rng) if chance(rng, 0.3) else None)
    columns = int((right - left) / between(rng, 2.0, 3.2))
    pitch, storey = (right - left) / columns, between(rng, 2.6, 3.1)
    half, tall = pitch * between(rng, 0.2, 0.32), between(rng, 1.2, 1.7)
    frames = wall.origin[2] < 16
    for row in range(int((top - 0.4 - bottom) / storey)):
        sill = bottom + storey * row + 0.6
        for column in range(columns):
            middle = left + pitch * (column + 0.5)
            if shutters is not None:
                wall.box(middle - 1.5 * half, sill, middle + 1.5 * half, sill + tall, shutters)
            elif frames:
                wall.box(middle - half - 0.14, sill - 0.2, middle + half + 0.14, sill + tall + 0.14, trim)
            pane = LAMPLIGHT if lamps and chance(rng, lamps) else glass
            wall.box(middle - half, sill, middle + half, sill + tall, pane)


def tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a poplar, a fir, or a tree with a round crown."""
    canvas.drop_shadow(x, z, 1.5, 1.0)
    sheet, leaves = canvas.facing(x, z), paint(rng, LEAVES)
    height, trunk = between(rng, 4.5, 9.0), between(rng, 0.2, 0.34)
    sheet.box(-trunk, 0, trunk, height * 0.6, paint(rng, BARK), TREE)
    form = rng.random()
    if form < 0.2:
        for i, share in enumerate((0.15, 0.4, 0.62)):
            half, bottom, top = 0.27 * height * (1 - 0.25 * i), height * share, height * (share + 0.42)
            sheet.polygon(((-half, bottom), (0, top), (half, bottom)), leaves, TREE)
            sheet.polygon(((0, top), (half, bottom), (0.2 * half, bottom)), mix(leaves, DARK, 0.28))
    elif form < 0.4:
        _crown(sheet, rng, leaves, height, 0.17 * height, 0.45 * height)
    else:
        _crown(sheet, rng, leaves, height, between(rng, 0.28, 0.4) * height, 0.33 * height)


def _crown(sheet: Sheet, rng: np.random.Generator, leaves: Color, height: float, across: float, up: float) -> None:
    middle, sun = height - up, sheet.canvas.sun
    for a, b, size in ((0, 0, 0.8), (-0.55, -0.25, 0.55), (0.55, -0.2, 0.55), (-0.35, 0.4, 0.55), (0.38, 0.42, 0.5)):
        wobble = between(rng, 0.85, 1.2)
        sheet.disc(a * across, middle + b * up, size * across * wobble, leaves, TREE, size * up * wobble)
    light, shade = mix(leaves, (255, 250, 200), 0.25), mix(leaves, (30, 34, 60), 0.32)
    for _ in range(9):
        a, b = between(rng, -0.75, 0.75), between(rng, -0.75, 0.75)
        tone = light if a * sun + b > 0 else shade
        sheet.disc(a * across, middle + b * up, 0.2 * across, tone, None, 0.16 * up)


def hedge(canvas: Canvas, rng: np.random.Generator, x: float, start: float, end: float) -> None:
    """Draw a hedge along the street."""
    height, leaves, wall = between(rng, 0.9, 2.4), paint(rng, LEAVES), canvas.along(x, start)
    canvas.facing(x, start).box(0, 0, 1.0 if x > 0 else -1.0, height, mix(leaves, DARK, 0.15), TREE)
    wall.box(0, 0, end - start, height, leaves, TREE)
    shade, light = mix(leaves, (30, 34, 60), 0.3), mix(leaves, (255, 250, 200), 0.22)
    for i in range(16):
        along, up = between(rng, 0.03, 0.97) * (end - start), between(rng, 0.08, 0.92) * height
        wall.disc(along, up, 0.3, shade if i % 2 else light, None, 0.16)


def fence(sheet: Sheet, rng: np.random.Generator, left: float, right: float) -> None:
    """Draw a fence on the sheet from a = left to a = right. The gaps are also labelled as fence."""
    color, height = paint(rng, PALINGS, 0.85), between(rng, 1.4, 2.1)
    gap = mix(color, DARK, between(rng, 0.5, 0.7))
    sheet.box(left, 0, right, height, gap, FENCE)
    wide = max(between(rng, 0.4, 0.75), 0.045 * sheet.origin[2])  # distant pickets are not thinner than a pixel
    count = int(abs(right - left) / wide)
    pitch, pointed = (right - left) / count, chance(rng, 0.5)
    for i in range(count):
        a, b = left + pitch * (i + 0.15), left + pitch * (i + 0.75)
        sheet.box(a, 0, b, height, color, FENCE)
        if pointed:
            sheet.polygon(((a, height), ((a + b) / 2, height + 0.3), (b, height)), color, FENCE)
    for rail in (0.2, 0.7):
        sheet.box(left, height * rail, right, height * (rail + 0.12), mix(color, DARK, 0.15), FENCE)


def garden(canvas: Canvas, rng: np.random.Generator, x: float, start: float, end: float) -> None:
    """Draw a lot without a house: trees behind a fence or a hedge, or an open space."""
    side = 1.0 if x > 0 else -1.0
    form = rng.random()
    fenced = form < 0.6 and end < 18.0
    if fenced and chance(rng, 0.5):
        fence(canvas.facing(x, end - 0.1), rng, 0, side * 12.0)
    for depth in sorted((between(rng, start, end) for _ in range(int(between(rng, 0, 2.8)))), reverse=True):
        tree(canvas, rng, x + side * between(rng, 1.5, 6.0), depth)
    if fenced:
        fence(canvas.along(x, start, canvas.wall_light(x)), rng, 0, end - start)
    elif form < 0.85:
        hedge(canvas, rng, x, start, end)
