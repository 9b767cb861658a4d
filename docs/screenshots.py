"""Pictures of the web pages for README.md and docs/serving.md: `make screenshots`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parent / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        sys.exit(f"no browser: install one of {', '.join(BROWSERS)} (Debian: apt install chromium)")
    PICTURES.mkdir(exist_ok=True)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "profilestore", "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        ) as service,
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
    ):
        assert service.stdout is not None
        address = re.search(r"http://\S+(?=/ )", service.stdout.readline())
        assert address is not None
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=browser_path,
            args=FLAGS,
            viewport={"width": 1120, "height": 900},
            color_scheme="light",
        )
        page = context.pages[0]
        page.goto(f"{address[0]}/")
        page.screenshot(path=PICTURES / "people.png")
        page.locator("a[href^='/users/']").first.click()
        page.wait_for_load_state()
        page.screenshot(path=PICTURES / "profile.png", full_page=True)
        page.get_by_role("link", name="Why").first.click()
        page.wait_for_load_state()
        page.screenshot(path=PICTURES / "why.png")
        page.goto(f"{address[0]}/")
        people = page.locator("a[href^='/users/']").evaluate_all(
            "links => links.map(link => link.getAttribute('href').split('/').pop())"
        )
        for name, path in {
            "compare": f"/compare?a={people[0]}&b={people[1]}",
            "models": "/models",
            "data": "/data",
            "tags": "/tags",
        }.items():
            page.goto(f"{address[0]}{path}")
            page.screenshot(path=PICTURES / f"{name}.png")
        context.close()
        service.terminate()
        service.stdout.read()
    print(f"wrote {', '.join(sorted(file.name for file in PICTURES.glob('*.png')))} in {PICTURES}")


if __name__ == "__main__":
    main()
