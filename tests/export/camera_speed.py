"""Measure the live page with chromium's fake camera: python tests/export/camera_speed.py toy."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import launched
from live_pages import LivePage

from tinysegnet.export.network_page import build_live_page
from tinysegnet.weights.checkpoint import open_checkpoint

SECONDS = 10

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.html"
        path.write_text(build_live_page(open_checkpoint(sys.argv[1])), encoding="utf-8")
        flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        with launched(*flags) as browser, LivePage(browser, path, permissions=["camera"]) as live:
            live.page.click("#camera")
            live.page.locator("#sizes", has_text="camera").wait_for()
            rates, times = [], []
            for _ in range(SECONDS):
                live.page.wait_for_timeout(1000)
                rates.append(float(live.page.inner_text("#rate")))
                times.append(live.page.get_attribute("#times", "title"))
            print(f"{path.stat().st_size / 1e6:.2f} MB; {live.page.inner_text('#sizes')}")
            print(f"pictures per second, counted over 2 s: median {sorted(rates)[len(rates) // 2]}, all {rates}")
            print(f"last passes: {', '.join(times[-3:])}")
