"""The walk in the README: python examples/show_walk.py writes walk.html, and walk.png if it finds a chromium.

pip install playwright, which drives it; the browser itself is the system's.
"""

import shutil
from pathlib import Path

import tinysegnet as ts

STEP = "forward:decoder2.unpool"
CHOOSE = """async () => {
  const { ready } = await import("walk/main.js");
  const { redraw, state } = await import("walk/state.js");
  await ready;
  Object.assign(state, { place: [0.16, 0.55], channel: 4 });
  await redraw();
}"""

street = ts.data.open_dataset("toy", "val")[0]
walk = ts.walk(ts.load_bundled("toy"), street.image, street.labels, title="a toy street in tiny")
walk.save("walk.html")
print(f"walk.html  {walk.size / 1e6:.1f} MB")

if chromium := shutil.which("chromium"):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 1180})
        page.goto(f"{Path('walk.html').resolve().as_uri()}#{STEP}")
        page.evaluate(CHOOSE)
        page.screenshot(path="walk.png")
        browser.close()
