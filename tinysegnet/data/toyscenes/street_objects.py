"""The objects in a toy street: lamp posts, signs, cars, people, and odd objects without a class.

Each function draws one object on a `Canvas` at (x, z), in metres, and labels its polygons with its class. Thin objects
are thicker than in reality, so that they are several pixels wide at 96x128.
"""

import numpy as np

from .drawing import CAR, CYCLIST, PEDESTRIAN, POLE, SIGN, VOID, Canvas, Sheet
from .paints import DARK, GLASS, LAMPLIGHT, WHITE, Color, between, chance, mix, paint, pick

SKIN: tuple[Color, ...] = ((244, 206, 172), (222, 172, 132), (172, 118, 84), (120, 80, 58), (88, 58, 44))
METAL: tuple[Color, ...] = ((70, 74, 80), (120, 124, 126), (178, 178, 172), (54, 78, 66), (96, 92, 92))
GLOSS: tuple[Color, ...] = ((176, 62, 56), (62, 92, 132), (228, 228, 224), (52, 54, 64), (168, 170, 172),
                            (218, 178, 66), (70, 130, 128))  # fmt: skip
ENAMEL: tuple[Color, ...] = ((204, 56, 50), (44, 84, 160), (234, 188, 48))
# The corners of triangular, square and diamond signs.
BOARDS = ((-1, -1), (1, -1), (0, 1)), ((-1, -1), (1, -1), (1, 1), (-1, 1)), ((-1, 0), (0, -1), (1, 0), (0, 1))
COATS: tuple[Color, ...] = ((150, 64, 112), (120, 92, 132), (188, 92, 140), (84, 62, 112), (62, 92, 132))
SAFETY: tuple[Color, ...] = ((238, 226, 70), (240, 130, 50), (120, 210, 90))


def lamp_post(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a lamp post, with an arm over the street or a round lamp, or a bare pole."""
    sheet, color = canvas.facing(x, z), paint(rng, METAL, 0.85)
    half, height, toward = between(rng, 0.18, 0.24), between(rng, 4.5, 7.0), -1.0 if x > 0 else 1.0
    _post(sheet, half, height, color)
    sheet.box(-1.7 * half, 0, 1.7 * half, 0.7, mix(color, DARK, 0.2), POLE)
    form = rng.random()
    if form < 0.45:
        sheet.bar((0, height), (toward * 1.5, height + 0.3), 0.24, color, POLE)
        sheet.box(toward, height + 0.02, toward * 2.0, height + 0.34, color, POLE)
        sheet.box(toward * 1.1, height - 0.1, toward * 1.9, height + 0.04, LAMPLIGHT, POLE)
    elif form < 0.8:
        sheet.disc(0, height, 0.38, mix(LAMPLIGHT, WHITE, 0.5), POLE)
        sheet.polygon(((-0.45, height + 0.25), (0, height + 0.65), (0.45, height + 0.25)), color, POLE)


def _post(sheet: Sheet, half: float, height: float, color: Color) -> None:
    sheet.box(-half, 0, half, height, color, POLE)
    sheet.box(-0.7 * half, 0, -0.1 * half, height, mix(color, WHITE, 0.4))
    sheet.box(0.35 * half, 0, half, height, mix(color, DARK, 0.45))


def sign(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a traffic sign on a pole: a circle, triangle, square, diamond or name board."""
    sheet, top = canvas.facing(x, z), between(rng, 2.3, 3.3)
    _post(sheet, 0.18, top, paint(rng, METAL))
    rim, face = paint(rng, ENAMEL, 0.9), mix(paint(rng), WHITE, 0.8)
    form, r = int(rng.random() * 5), between(rng, 0.6, 0.8)
    if form == 0:
        sheet.disc(0, top, r, rim, SIGN)
        sheet.disc(0, top, 0.72 * r, face)
    elif form == 4:
        sheet.box(-1.5 * r, top - 0.6 * r, 1.5 * r, top + 0.6 * r, rim, SIGN)
        sheet.box(-1.35 * r, top - 0.45 * r, 1.35 * r, top + 0.45 * r, face)
    else:
        board, drop = BOARDS[form - 1], 0.1 * r if form == 1 else 0.0
        sheet.polygon([(1.15 * r * a, top + 1.15 * r * b) for a, b in board], rim, SIGN)
        sheet.polygon([(0.75 * r * a, top + 0.75 * r * b - drop) for a, b in board], face)
    mark = pick(rng, (DARK, rim, WHITE))
    sheet.box(-0.34 * r, top - 0.14 * r, 0.34 * r, top + 0.14 * r, mark)
    if chance(rng, 0.5):
        sheet.box(-0.12 * r, top - 0.4 * r, 0.12 * r, top + 0.3 * r, mark)


def traffic_light(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a traffic light on a pole. Its three lamps, one of them lit, are in a box that is labelled as a sign."""
    sheet, top = canvas.facing(x, z), between(rng, 2.4, 3.4)
    _post(sheet, 0.18, top, paint(rng, METAL))
    sheet.box(-0.48, top, 0.48, top + 1.75, paint(rng, (DARK, DARK, (200, 170, 70), (70, 80, 72))), SIGN)
    lit = int(rng.random() * 3)
    for i, color in enumerate(((70, 190, 120), (240, 186, 70), (226, 74, 62))):
        sheet.disc(0, top + 0.34 + 0.54 * i, 0.23, color if i == lit else mix(color, DARK, 0.75))


def car(canvas: Canvas, rng: np.random.Generator, x: float, z: float, leaving: bool) -> None:
    """Draw a car along the street. Its nearer end, at z, is the rear if the car is leaving, and the front otherwise."""
    canvas.drop_shadow(x, z + 2.0, 1.3, 2.4)
    color, half, length = paint(rng, GLOSS, 0.85), between(rng, 0.85, 1.0), between(rng, 3.4, 4.6)
    waist, top = between(rng, 0.8, 1.0), between(rng, 1.4, 2.1)
    lean, glass = between(rng, 0.03, 0.1), pick(rng, GLASS)
    inner = -1.0 if x > canvas.camera.bend * z * (z + length) else 1.0  # the visible side
    roof = Sheet(canvas, (x, top, z), (1, 0, 0), (0, 0, 1), 1.1)
    roof.box(-half + lean, 0, half - lean, length - 1.5, color, CAR)
    flank = canvas.along(x + inner * half, z, canvas.wall_light(-inner))
    _flank(flank, color, glass, length, waist, top, lean)
    end = canvas.facing(x, z)
    end.polygon(((-half, waist), (-half + lean, top), (half - lean, top), (half, waist)), color, CAR)
    low, high = half - 0.14, half - lean - 0.12
    end.polygon(((-low, waist + 0.04), (-high, top - 0.13), (high, top - 0.13), (low, waist + 0.04)), glass)

    for wheel in (-half + 0.2, half - 0.2):
        end.box(wheel - 0.16, 0, wheel + 0.16, 0.5, (30, 30, 36), CAR)
    end.box(-half, 0.24, half, waist + 0.06, color if leaving else mix(color, WHITE, 0.1), CAR)
    light = (206, 52, 48) if leaving else (255, 246, 214)
    for a in (-half + 0.05, half - 0.4):
        end.box(a, waist - 0.28, a + 0.35, waist - 0.06, light)
    end.box(-half + 0.02, 0.26, half - 0.02, 0.4, paint(rng, METAL))
    end.box(-0.28, 0.42, 0.28, 0.56, (236, 226, 170))


def _flank(flank: Sheet, color: Color, glass: Color, length: float, waist: float, top: float, lean: float) -> None:
    shade = mix(color, DARK, 0.15)
    for wheel in (0.75, length - 0.75):
        flank.disc(wheel, 0.34, 0.34, (30, 30, 36), CAR)
    flank.box(0, 0.26, length, waist + 0.04, shade, CAR)
    cabin = ((0.05, waist), (lean, top), (length - 1.5, top), (length - 0.9, waist))
    flank.polygon(cabin, shade, CAR)
    sill, lintel = waist + 0.05, top - 0.14
    flank.polygon(((0.3, sill), (lean + 0.3, lintel), (length - 1.65, lintel), (length - 1.2, sill)), glass)
    flank.box(0.48 * length - 0.5, waist, 0.48 * length - 0.35, top, shade)
    for wheel in (0.75, length - 0.75):
        flank.disc(wheel, 0.34, 0.17, (150, 150, 150))


def crossing_car(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a car that crosses the street, seen from the side."""
    canvas.drop_shadow(x, z, 2.4, 0.8)
    sheet, color, glass = canvas.facing(x, z), paint(rng, GLOSS, 0.85), pick(rng, GLASS)
    way, half = pick(rng, (-1.0, 1.0)), between(rng, 1.8, 2.3)
    waist, top = between(rng, 0.85, 1.0), between(rng, 1.45, 1.9)
    body = ((-1, 0.28), (1, 0.28), (1, waist - 0.1), (0.55, waist), (-1, waist))
    cabin = ((-0.85, waist), (-0.65, top), (0.2, top), (0.52, waist))
    for part in (body, cabin):
        sheet.polygon([(way * half * a, b) for a, b in part], color, CAR)
    sheet.polygon([(way * half * a * 0.9 - way * 0.06, b - 0.1 * (b - waist) + 0.02) for a, b in cabin], glass)
    sheet.box(way * half * -0.22 - 0.07, waist, way * half * -0.22 + 0.07, top, color)
    sheet.box(way * half * 0.9, waist - 0.35, way * half, waist - 0.15, (255, 246, 214))
    sheet.box(-half, 0.28, half, 0.42, mix(color, DARK, 0.4))
    for wheel in (-0.58 * half, 0.6 * half):
        sheet.disc(wheel, 0.36, 0.38, (30, 30, 36), CAR)
        sheet.disc(wheel, 0.36, 0.17, (160, 160, 158))


def pedestrian(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a pedestrian in a long striped coat, sometimes with a bag."""
    canvas.drop_shadow(x, z, 0.55, 0.4)
    sheet, tall = canvas.facing(x, z), between(rng, 1.5, 2.1)
    coat, trousers, skin = paint(rng, COATS, 0.75), paint(rng), pick(rng, SKIN)
    sleeve = mix(coat, DARK, 0.3)
    stride, wide, hem = between(rng, 0.12, 0.2), between(rng, 0.32, 0.4), between(rng, 0.16, 0.34) * tall
    for foot in (-stride, stride):
        sheet.box(foot - 0.14, 0, foot + 0.14, 0.5 * tall, trousers, PEDESTRIAN)
    sheet.polygon(((-wide - 0.06, hem), (-wide, 0.8 * tall), (wide, 0.8 * tall), (wide + 0.06, hem)), coat, PEDESTRIAN)
    sheet.disc(0, 0.78 * tall, wide, coat, PEDESTRIAN, 0.12)
    stripe = mix(coat, WHITE if sum(coat) < 380 else DARK, 0.55)
    for i in range(int((0.82 * tall - hem) / 0.3)):
        sheet.box(-wide, hem + 0.3 * i, wide, hem + 0.3 * i + 0.14, stripe)
    for hand in (-1, 1):
        sheet.bar((hand * (wide - 0.04), 0.78 * tall), (hand * wide, 0.42 * tall), 0.15, sleeve, PEDESTRIAN)
    if chance(rng, 0.3):
        sheet.box(wide - 0.05, 0.26 * tall, wide + 0.25, 0.46 * tall, paint(rng), PEDESTRIAN)
    _head(sheet, rng, 0.0, 0.9 * tall, skin, PEDESTRIAN)


def _head(sheet: Sheet, rng: np.random.Generator, a: float, b: float, skin: Color, label: int) -> None:
    sheet.disc(a, b, 0.23, skin, label, 0.25)
    cap = paint(rng)
    sheet.polygon(((a - 0.25, b + 0.03), (a - 0.18, b + 0.27), (a + 0.18, b + 0.27), (a + 0.25, b + 0.03)), cap, label)


def cyclist(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a cyclist, seen from the side or from behind."""
    canvas.drop_shadow(x, z, 0.8, 0.4)
    sheet = canvas.facing(x, z)
    way = pick(rng, (-1.0, 1.0)) if chance(rng, 0.5) else 0.0
    frame, top, trousers, skin = paint(rng), paint(rng, SAFETY, 0.9), paint(rng), pick(rng, SKIN)
    if way:
        _cyclist_from_side(sheet, rng, way, frame, top, trousers)
    else:
        _cyclist_from_behind(sheet, rng, frame, top, trousers)
    _head(sheet, rng, way * 0.2, 1.84 if way else 1.8, skin, CYCLIST)


def _cyclist_from_side(sheet: Sheet, rng: np.random.Generator, way: float, frame: Color, top: Color,
                       trousers: Color) -> None:  # fmt: skip
    """Draw a Dutch bicycle and its rider. The space between the spokes is also labelled as bicycle."""
    for hub in (-0.62, 0.62):
        sheet.disc(hub, 0.46, 0.46, (38, 38, 44), CYCLIST)
        sheet.disc(hub, 0.46, 0.31, (166, 166, 160))
    guard = ((-0.75, 0.5), (-0.6, 1.0), (-0.15, 1.05), (0.5, 1.05), (0.42, 0.75), (0.0, 0.35))
    sheet.polygon([(way * a, b) for a, b in guard], frame, CYCLIST)
    sheet.bar((way * 0.62, 0.46), (way * 0.44, 1.25), 0.16, mix(frame, DARK, 0.3), CYCLIST)
    knee = between(rng, 0.12, 0.34)
    sheet.bar((way * -0.25, 1.08), (way * knee, 0.88), 0.3, trousers, CYCLIST)
    sheet.bar((way * knee, 0.95), (way * 0.02, 0.3), 0.25, trousers, CYCLIST)
    sheet.bar((way * -0.3, 1.0), (way * 0.1, 1.65), 0.52, top, CYCLIST)
    sheet.bar((way * 0.08, 1.5), (way * 0.48, 1.18), 0.2, mix(top, DARK, 0.2), CYCLIST)


def _cyclist_from_behind(sheet: Sheet, rng: np.random.Generator, frame: Color, top: Color, trousers: Color) -> None:
    sheet.box(-0.14, 0, 0.14, 0.9, (38, 38, 44), CYCLIST)
    sheet.box(-0.44, 1.05, 0.44, 1.25, frame, CYCLIST)
    foot = between(rng, 0.15, 0.4)
    for side, down in ((-1, foot), (1, 0.55 - foot)):
        sheet.bar((side * 0.18, 1.0), (side * 0.22, down), 0.25, trousers, CYCLIST)
    sheet.polygon(((-0.32, 0.85), (-0.4, 1.6), (0.4, 1.6), (0.32, 0.85)), top, CYCLIST)
    sheet.box(-0.14, 0.6, 0.14, 0.76, (206, 52, 48))


def oddity(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a bin, a bench, a dog or a stack of boxes, which are labelled as void."""
    canvas.drop_shadow(x, z, 0.6, 0.4)
    sheet, color = canvas.facing(x, z), paint(rng)
    form = int(rng.random() * 4)
    if form == 0:
        sheet.polygon(((-0.32, 0), (-0.4, 1.0), (0.4, 1.0), (0.32, 0)), color, VOID)
        sheet.box(-0.46, 0.95, 0.46, 1.12, mix(color, DARK, 0.35), VOID)
    elif form == 1:
        sheet.box(-0.9, 0.35, 0.9, 1.2, color, VOID)
        for b in (0.55, 0.85):
            sheet.box(-0.9, b, 0.9, b + 0.12, mix(color, DARK, 0.5))
        for a in (-0.75, 0.6):
            sheet.box(a, 0, a + 0.15, 1.1, DARK, VOID)
    elif form == 2:
        sheet.disc(0, 0.5, 0.48, color, VOID, 0.22)
        sheet.disc(0.5, 0.78, 0.22, color, VOID)
        for a in (-0.38, -0.2, 0.2, 0.36):
            sheet.bar((a, 0.45), (a, 0), 0.13, color, VOID)
        sheet.bar((-0.42, 0.55), (-0.75, 0.95), 0.12, color, VOID)
    else:
        sheet.box(-0.5, 0, 0.3, 0.6, color, VOID)
        sheet.box(-0.2, 0.6, 0.35, 1.05, mix(color, WHITE, 0.3), VOID)
        sheet.box(0.3, 0, 0.75, 0.45, paint(rng), VOID)
