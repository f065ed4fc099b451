"""The README's pictures of the page while it replays a recorded run.

    python -m benchmarks.pictures    write docs/page.png, docs/projector.png, … and docs/page.gif

The page is served with an empty folder of runs, so that it replays the first preset.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.browsing import DRAWN, SCREEN, browsing, serving
from benchmarks.common import DOCS

STATUS = "window.playground?.run?.status.name"
# name -> path, and the options of the browser
STILLS: dict[str, tuple[str, dict[str, Any]]] = {
    "page": ("/", SCREEN),
    "projector": ("/?present", {"width": 1920, "height": 1080}),
    "dark": ("/?__theme=dark", SCREEN),
    "phone": ("/", {"width": 390, "height": 844}),
}
FRAME = 0.6  # seconds between two frames
WIDTH = 960  # of the animation, in pixels
COLOURS = 64
LAST = 3.0  # seconds of the last frame
MAX_BYTES = 3_000_000


def main() -> None:
    with serving() as (address, _):
        for name, (path, size) in STILLS.items():
            with browsing(viewport=size) as page:
                page.goto(address + path)
                page.wait_for_function(f"{STATUS} === 'finished'")
                time.sleep(1)  # the newest texts flash
                page.screenshot(path=DOCS / f"{name}.png")
        animate(address, DOCS / "page.gif")


def animate(address: str, path: Path) -> None:
    """Write an animation of the page from its opening to the end of the replayed run."""
    frames = []
    with browsing() as page:
        page.goto(address)
        page.wait_for_selector(DRAWN)
        while True:
            ended = page.evaluate(f"{STATUS} === 'finished'")
            shot = path.with_suffix(".frame.png")
            page.screenshot(path=shot)
            with Image.open(shot) as picture:
                height = round(picture.height * WIDTH / picture.width)
                small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
            shot.unlink()
            frames.append(small.quantize(COLOURS, dither=Image.Dither.NONE))
            if ended:
                break
            time.sleep(FRAME)
    durations = [round(1000 * FRAME)] * (len(frames) - 1) + [round(1000 * LAST)]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True
    )
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")


if __name__ == "__main__":
    main()
