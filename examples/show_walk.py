"""Draw the picture of a walk in the README: python examples/show_walk.py [FOLDER]

The script writes walk.html. If playwright and chromium are installed, it also writes walk.png and its variants for dark
pages (_dark) and for phones (_narrow, _narrow_dark).
"""

import shutil
import sys
from pathlib import Path

from PIL import Image

import tinysegnet as ts

READY = """async () => {
  await (await import("walk/main.js")).ready;
  for (const canvas of document.querySelectorAll(".stage canvas")) {
    while (canvas.width === 300) await new Promise((resolve) => setTimeout(resolve, 20)); // not painted yet
  }
}"""
TO_THE_MAP = """() => {
  const map = document.querySelector(".network-map").getBoundingClientRect();
  scrollTo(0, map.top - document.querySelector("header").offsetHeight - 16);
}"""
SIZES = {"": (1280, 915, 1.4), "_narrow": (390, 890, 2)}  # width, height, device pixels per pixel

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
street = ts.data.open_dataset("toy", "val")[0]
walk = ts.walk(ts.load_bundled("toy"), street.image, street.labels, title="A toy street in the network 'tiny'")
page_path = folder / "walk.html"
walk.save(page_path)
print(f"{page_path}  {walk.size / 1e6:.1f} MB")

if chromium := shutil.which("chromium"):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        for name, (width, height, scale) in SIZES.items():
            for theme, suffix in (("light", ""), ("dark", "_dark")):
                page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale,
                                        color_scheme=theme)  # fmt: skip
                page.goto(page_path.resolve().as_uri())
                page.evaluate(READY)
                page.evaluate(TO_THE_MAP)
                target = folder / f"walk{name}{suffix}.png"
                page.screenshot(path=target)
                Image.open(target).convert("RGB").quantize(128).save(target, optimize=True)
                page.close()
        browser.close()
