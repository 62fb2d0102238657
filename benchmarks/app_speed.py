"""Time the page to play with, through a browser, on the models of an environment's last run.

Start-up goes from the command to a page that has answered, the models' loading included. An answer goes from a
key, in the browser, to the first picture or bar that has changed there: of a text that takes another's place, of
the number of components, of a latent's slider, and of a stroke drawn. All this happens one after another, with
nobody else on the page.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from playwright.sync_api import Page, sync_playwright

from _common import ROOT, machine, markdown, positive, spread

TARGETS = {"start": 5.0, "text": 0.1, "slider": 0.15}
_PAUSE = 150  # ms between two answers
# Waits for what is watched to change once `act` is done, and returns the seconds that this took.
_WATCH = """
(selector) => { window.watched = new Promise((done) => {
  const watcher = new MutationObserver(() => {
    watcher.disconnect();
    requestAnimationFrame(() => done((performance.now() - window.begun) / 1000));
  });
  const options = {subtree: true, childList: true, characterData: true, attributeFilter: ['src', 'style']};
  watcher.observe(document.querySelector(selector), options);
  const begin = () => { window.begun = performance.now(); };
  for (const kind of ['keydown', 'input', 'pointerdown'])
    window.addEventListener(kind, begin, {once: true, capture: true});
}); }
"""


def start(env: str | None) -> tuple[subprocess.Popen[str], str]:
    """Begin the page in a process of its own; return it, and its address once it has told it."""
    words = [sys.executable, "-m", "latents.app", "--no-browser", *(["--env", env] if env else [])]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+?:\d+", line):
            return process, found[0]
    raise SystemExit(f"the page did not start: {' '.join(words)} ended with {process.wait()}")


def end(process: "subprocess.Popen[str]") -> None:
    """End the page as Ctrl-C does."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait()


def times_of_start(page: Page, env: str | None, repetitions: int) -> list[float]:
    """Return the seconds from the command to an answer on the page."""
    found = []
    for _ in range(repetitions):
        began = time.perf_counter()
        process, address = start(env)
        page.goto(address)
        page.locator(".answer:not(:empty), .large img").first.wait_for()
        found.append(time.perf_counter() - began)
        end(process)
    return found


def times_of_keys(page: Page, focus: str, keys: Sequence[str], watched: str, n: int) -> list[float]:
    """Return the seconds from keys, pressed in turn, to a change of what is watched."""
    page.wait_for_timeout(1000)
    page.locator(focus).first.focus()
    found = []
    for number in range(n + 1):
        page.evaluate(_WATCH, watched)
        page.keyboard.press(keys[number % len(keys)])
        found.append(float(page.evaluate("window.watched")))
        page.wait_for_timeout(_PAUSE)
    return found[1:]


def times_of_texts(page: Page, words: Sequence[Sequence[str]], n: int) -> list[float]:
    """Return the seconds from a text of some hundred words, put in another's place, to a change of the bars."""
    page.wait_for_timeout(1000)
    box = page.locator("textarea")
    found = []
    for number in range(n + 1):
        box.select_text()
        page.evaluate(_WATCH, ".bars")
        page.keyboard.insert_text(" ".join([*words[number % len(words)], f"text {number}"] * 10))
        found.append(float(page.evaluate("window.watched")))
        page.wait_for_timeout(_PAUSE)
    return found[1:]


def times_of_strokes(page: Page, watched: str, n: int) -> list[float]:
    """Return the seconds from the beginning of a stroke on an empty canvas to a change of what is watched."""
    page.wait_for_timeout(1000)
    pad = page.locator(".pad canvas")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n + 1):
        page.get_by_role("button", name="Clear").click()
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box is not None
        places = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"])
            for x, y in rng.uniform(0.2, 0.8, (2, 2))
        ]
        page.mouse.move(*places[0])
        page.evaluate(_WATCH, watched)
        page.mouse.down()
        page.mouse.move(*places[1])
        page.mouse.up()
        found.append(float(page.evaluate("window.watched")))
        page.wait_for_timeout(_PAUSE)
    return found[1:]


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--env", help="the environment whose last run is shown; by default that of `kedro run`"
    )
    parser.add_argument(
        "--repetitions", type=positive, default=50, help="of each answer; a tenth of it, of starts"
    )
    options = parser.parse_args(arguments)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("there is no chromium: on Debian and Ubuntu it is in the package of that name")
    n = options.repetitions
    print(machine(), "\n")
    rows: dict[str, tuple[list[float], float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        rows["start to the first answer"] = (
            times_of_start(page, options.env, max(1, n // 10)),
            TARGETS["start"],
        )
        process, address = start(options.env)
        try:
            page.goto(f"{address}/documents")
            found = times_of_texts(
                page, [page.locator(".chips span").all_inner_texts(), ["matrix", "game"]], n
            )
            rows["a text: cluster, marks, neighbours, place"] = found, TARGETS["text"]
            page.goto(f"{address}/images")
            keys = ("ArrowLeft", "ArrowRight")
            found = times_of_keys(page, ".q-slider [tabindex]", keys, ".three", n)
            rows["number of components: rebuilt"] = found, TARGETS["slider"]
            found = times_of_strokes(page, ".three", n)
            rows["a stroke: rebuilt"] = found, TARGETS["slider"]
            page.goto(f"{address}/generate")
            found = times_of_keys(page, ".latent .q-slider [tabindex]", keys, ".large", n)
            rows["a latent's slider: 24 images"] = found, TARGETS["slider"]
            found = times_of_strokes(page, ".hand", n)
            rows["a stroke: p(y | x), every class"] = found, float("nan")
        finally:
            end(process)
        browser.close()
    table = [
        {"what": what, "n": len(found), "seconds": spread(np.array(found), 3), "at most": target}
        for what, (found, target) in rows.items()
    ]
    print(markdown(pd.DataFrame(table)))


if __name__ == "__main__":
    main()
