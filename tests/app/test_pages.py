"""The pages in a browser, as a user types, draws, drags and follows links."""

import json
import re
import shutil
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from latents import predictors
from tests.conftest import Project
from tests.servers import LOCAL, free_port, served

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("nicegui", reason="the extra 'app' is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open the pages in")

PATIENCE = 120_000  # ms, for a busy machine
expect = sync_api.expect
expect.set_options(timeout=PATIENCE)
PAGES = ("documents", "images", "generate")


@pytest.fixture(scope="module")
def address(finished: Project) -> Iterator[str]:
    """The pages on the finished run."""
    with app(finished, "--env", "test") as address:
        yield address


def path_of(link: str) -> str:
    return link.partition(f"{LOCAL}:")[2].partition("/")[2]


@contextmanager
def app(project: Project, *options: str, program: Sequence[str] = ("-m", "latents.app")) -> Iterator[str]:
    port = free_port()
    words = [sys.executable, *program, "--no-browser", "--port", str(port), *options]
    address = f"http://{LOCAL}:{port}"
    with served({f"{address}/documents": words}, project.path, project.environment):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens pages; in the end, none has asked another machine for anything, or complained."""
    contexts, outside, complaints = [], [], []

    def opened(path: str, server: str = address, **how) -> "sync_api.Page":
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **how}
        )
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()

        def asked(request) -> None:
            if not request.url.startswith((server, server.replace("http", "ws"), "data:", "blob:")):
                outside.append(request.url)

        page.on("request", asked)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None
        )
        page.goto(f"{server}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not outside
    assert not complaints


def typed(page, text: str):
    page.get_by_role("textbox", name="Your text").fill(text)
    return page


def marks(page) -> list[str]:
    """The words that are marked, in the order of the text."""
    return page.evaluate(
        "[...CSS.highlights.values()].flatMap(all => [...all])"
        ".sort((one, other) => one.startOffset - other.startOffset).map(String)"
    )


def answer(page):
    return page.locator(".answer").first


def source(page, label: str) -> str:
    """What a group of pictures shows, once it shows any."""
    group = page.get_by_role("group", name=label)
    expect(group.locator("img").first).to_have_attribute("src", re.compile("^data:"))
    return json.dumps(group.locator("img").evaluate_all("all => all.map(one => one.src)"))


def picture_of(url: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(b64decode(url.partition(",")[2]))))


def png(image: Image.Image) -> dict:
    file = BytesIO()
    image.save(file, "PNG")
    return {"name": "picture.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_a_text_finds_its_cluster_and_words_are_marked(open_page, finished):
    predictor = finished.predictor("clustering")
    words = predictor.telling_words(3)
    page = open_page("documents")
    for cluster in (0, 1):
        text = f"Zzyzx, {' '.join(words[cluster])}!"
        (row,) = predictor.predict([text]).to_dict("records")
        typed(page, text)
        expect(answer(page)).to_have_text(row["cluster_name"])
        expect(page.get_by_text(f"by the {row['n_tokens']} words that the model knows")).to_be_visible()
        page.wait_for_function(
            "n => [...CSS.highlights.values()].reduce((sum, all) => sum + all.size, 0) === n", arg=3
        )
        assert marks(page) == words[cluster]
        page.get_by_role("textbox", name="Your text").press("Home")
        page.keyboard.insert_text("And 🙂 ")  # until the answer comes, too, marks stay with their words
        assert marks(page) == words[cluster]


def test_the_nearest_document_of_a_document_is_itself_and_a_click_reads_one(open_page, finished):
    documents = pd.read_parquet(finished.data() / "02_intermediate" / "clustering" / "documents.parquet")
    page = open_page("documents")
    typed(page, " ".join(documents["text"][0].split())[:2900])
    nearest = page.locator(".item")
    expect(nearest.first.locator(".item-title")).to_have_text(documents["name"][0])
    second = nearest.nth(1).locator(".item-title").inner_text()
    nearest.nth(1).press("Enter")
    expect(page.locator(".item-title").first).to_have_text(second)


def test_a_link_brings_a_text_back(open_page, finished):
    page = open_page("documents")
    expect(answer(page)).not_to_be_empty()  # an example, which an address without a state begins with
    before = page.url
    typed(page, "eigenvalues of a matrix, Ünïcode 🙂")
    page.wait_for_function("before => location.href !== before", arg=before)
    page.get_by_role("button", name="Copy link").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "#" in link
    assert "eigenvalues" not in link
    again = open_page(path_of(link))
    expect(again.get_by_role("textbox", name="Your text")).to_have_value(
        "eigenvalues of a matrix, Ünïcode 🙂"
    )
    expect(answer(again)).to_have_text(answer(page).inner_text())


def test_a_damaged_link_is_told_of(open_page):
    page = open_page("documents#nonsense")
    expect(page.get_by_text("the link is damaged")).to_be_visible()
    expect(answer(page)).not_to_be_empty()


def test_text_that_is_empty_unknown_or_too_long_is_answered_in_words(open_page):
    page = open_page("documents")
    for text, said in (
        ("", "Type a text"),
        ("zzyzx", "No word that the model knows"),
        ("a matrix " * 12_000, "This text is too long"),
    ):
        typed(page, text)
        expect(answer(page)).to_have_text(said)
        expect(page.get_by_text("No document shares a word with it.")).to_be_visible()
        assert not marks(page)
    expect(page.get_by_text("It has 108,000 characters; this page reads up to 100,000.")).to_be_visible()


def test_a_long_text_is_marked_and_has_no_link(open_page, finished):
    words = finished.predictor("clustering").telling_words(5)[0]
    page = open_page("documents")
    rng = np.random.default_rng(0)  # what repeats itself fits into a link
    noise = ["".join(rng.choice(list("abcdefghij"), 9)) for _ in range(9_000)]
    typed(page, " ".join([*noise, *words]))
    expect(page.get_by_text("by the 5 words that the model knows")).to_be_visible()
    page.wait_for_function("[...CSS.highlights.values()].reduce((sum, all) => sum + all.size, 0) === 5")
    assert marks(page) == words
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("What is on the page is too long for a link")).to_be_visible()


def test_what_is_left_by_a_click_comes_back(open_page):
    page = open_page("documents")
    typed(page, "a text of my own")
    box = page.get_by_role("textbox", name="Your text")
    page.wait_for_timeout(500)  # until the address has settled
    own = page.url
    page.get_by_role("button", name="Another example").click()
    page.wait_for_function("own => location.href !== own", arg=own)
    expect(box).not_to_have_value("a text of my own")
    page.go_back()
    expect(box).to_have_value("a text of my own")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("link", name="Images").click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    page.get_by_role("link", name="Documents").click()
    expect(box).to_have_value("a text of my own")


def test_a_link_of_other_models_is_told_of(open_page, finished):
    page = open_page("documents")
    typed(page, "a text of my own")
    page.wait_for_function("location.hash.length > 1")
    page.wait_for_timeout(500)
    folder = finished.data() / "06_models" / "clustering" / "predictor"
    with app(finished, "--model", str(folder)) as server:
        other = open_page(path_of(page.url), server)
        expect(other.get_by_text("The link was made on the models of the last run of test")).to_be_visible()
        expect(other.get_by_role("textbox", name="Your text")).to_have_value("a text of my own")


def test_an_address_of_no_page_says_so(open_page):
    page = open_page("nowhere")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    expect(page.get_by_role("link", name="Images")).to_be_visible()


def test_a_table_of_texts_gives_a_table_to_download(open_page, finished):
    predictor = finished.predictor("clustering")
    texts = [" ".join(words) for words in predictor.telling_words(4)] + ["=1+1"]
    page = open_page("documents")
    content = pd.DataFrame({"id": range(len(texts)), "text": texts}).to_csv(index=False)
    chosen = page.locator("input[type=file]")
    chosen.set_input_files({"name": "texts.csv", "mimeType": "text/csv", "buffer": content.encode()})
    expect(page.get_by_role("heading", name=f"{len(texts)} texts")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    table = pd.read_csv(download.value.path(), keep_default_na=False)
    expected = predictor.predict(texts)
    assert table["text"].tolist() == [*texts[:-1], "'=1+1"]
    assert table["cluster_name"].tolist() == expected["cluster_name"].tolist()
    np.testing.assert_allclose(table["probability"], expected["probability"])


def test_several_files_are_several_texts(open_page):
    page = open_page("documents")
    files = [{"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"a matrix"} for n in range(3)]
    files.append({"name": "two.csv", "mimeType": "text/csv", "buffer": b"text\none\ntwo\n"})
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_role("heading", name="5 texts")).to_be_visible()
    table = page.get_by_role("table")
    assert table.locator("tbody td:first-child").all_inner_texts() == [
        "0.txt",
        "1.txt",
        "2.txt",
        "two.csv",
        "two.csv",
    ]
    page.get_by_role("button", name="Close").click()
    expect(table).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("texts.csv", b"\xff\xfe\x00", "texts.csv cannot be read: it is no text in UTF-8 (byte 1 is none)."),
        ("numbers.csv", b"a,b\n,\n", "numbers.csv has no column of texts; its columns are"),
        ("picture.png", b"\x89PNG\r\n", "picture.png cannot be read: it is no text in UTF-8"),
    ],
)
def test_files_that_cannot_be_read_get_a_sentence(open_page, name, content, sentence):
    page = open_page("documents")
    expect(answer(page)).not_to_be_empty()
    before = answer(page).inner_text()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
    expect(page.get_by_text(sentence)).to_be_visible()
    assert answer(page).inner_text() == before


def test_a_file_that_is_dropped_is_read_unless_it_is_too_large(open_page):
    drop = """(box, [name, size]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["a matrix ".repeat(size / 9)], name));
        box.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }"""
    page = open_page("documents")
    box = page.locator(".marked")
    box.evaluate(drop, ["huge.csv", 21e6])
    expect(page.get_by_text("That is 21 MB; this page reads files of up to 20 MB together.")).to_be_visible()
    box.evaluate(drop, ["small.txt", 9])
    expect(page.get_by_role("textbox", name="Your text")).to_have_value("a matrix ")


def test_an_answer_does_not_wait_for_that_of_others(open_page, finished, tmp_path):
    # The table is as slow as can be: it waits until another page has its answer.
    slow = f"""
import time
from pathlib import Path
from latents.app.__main__ import main
from latents.app.documents import Documents
table = Documents.table
def waiting(documents, texts):
    Path({str(tmp_path / "begun")!r}).touch()
    while not Path({str(tmp_path / "answered")!r}).exists():
        time.sleep(0.05)
    return table(documents, texts)
Documents.table = waiting
main()
"""
    with app(finished, "--env", "test", program=("-c", slow)) as server:
        busy, page = open_page("documents", server), open_page("documents", server)
        expect(answer(page)).not_to_be_empty()
        many = {"name": "two.csv", "mimeType": "text/csv", "buffer": b"text\na matrix\na signal\n"}
        busy.locator("input[type=file]").set_input_files(many)
        while not (tmp_path / "begun").exists():
            page.wait_for_timeout(50)
        typed(page, "zzyzx")
        try:
            expect(answer(page)).to_have_text("No word that the model knows")
        finally:
            (tmp_path / "answered").touch()
        expect(busy.get_by_role("heading", name="2 texts")).to_be_visible()


def test_a_drawing_is_rebuilt(open_page, finished):
    predictor = finished.predictor("pca")
    page = open_page("images")
    error = page.locator(".answer")
    expect(error).to_have_text(re.compile("^Stranger than "))
    page.get_by_role("button", name="Clear").click()
    expect(error).to_have_text("Draw something, drop a picture or pick one below.")
    page.wait_for_function("location.hash.length > 1")
    link = page.url
    expect(open_page(path_of(link)).locator(".answer")).to_have_text(error.inner_text())
    box = page.get_by_role("img", name="Draw here").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + box["height"] / 2, steps=8)
    page.mouse.up()
    expect(error).to_have_text(re.compile("^Stranger than "))
    page.wait_for_function("link => location.href !== link", arg=link)
    read = picture_of(page.get_by_role("img", name="Your image").get_attribute("src"))
    assert read.shape[:2] == predictor.shape
    middle = read.shape[1] // 2
    assert read[:, middle - 1 : middle + 1].max() > 128 > read[:, 0].max()


def test_the_slider_moves_by_keys_and_errors_are_the_model_s(open_page, finished):
    predictor = finished.predictor("pca")
    images = np.load(finished.data() / "02_intermediate" / "pca" / "images" / "images.npy")
    held_out = np.load(finished.data() / "05_model_input" / "pca" / "split.npz")["held_out"]
    curve = predictor.error_curves(images[np.sort(held_out)[:1]])[0]
    page = open_page("images")
    slider = page.get_by_role("slider", name="Number of components d")
    for _ in range(predictor.model.n_components_):
        slider.press("ArrowLeft")
    for d in range(3):
        expect(page.get_by_role("heading", name=f"d = {d}", exact=True)).to_be_visible()
        expect(page.get_by_text(f"Squared error {curve[d]:,.0f}:")).to_be_visible()
        slider.press("ArrowRight")
    expect(page.get_by_role("heading", name="d = 3", exact=True)).to_be_visible()
    page.wait_for_timeout(500)  # an address changes but a few times a second
    again = open_page(path_of(page.url))
    expect(again.get_by_role("heading", name="d = 3", exact=True)).to_be_visible()


def test_a_slider_follows_the_mouse(open_page, finished):
    most = finished.predictor("pca").model.n_components_
    page = open_page("images")
    slider = page.get_by_role("slider", name="Number of components d")
    slider.scroll_into_view_if_needed()
    expect(page.locator(".answer")).not_to_be_empty()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share, d in ((1.0, most), (0.0, 0)):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=5)
        expect(page.get_by_role("heading", name=f"d = {d}", exact=True)).to_be_visible()
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", "0")


def test_a_picture_is_read_as_in_training_and_a_test_image_by_a_key(open_page, finished):
    shape = finished.predictor("pca").shape
    page = open_page("images")
    expect(page.locator(".answer")).not_to_be_empty()
    halves = Image.new("RGB", (640, 640), "white")
    halves.paste("black", (0, 0, 320, 640))
    page.locator("input[type=file]").set_input_files(png(halves))
    read = page.get_by_role("img", name="Your image")
    page.wait_for_function("location.hash.length > 1")
    expect(page.locator(".thumbnail.chosen")).to_have_count(0)
    pixels = picture_of(read.get_attribute("src"))
    assert pixels.shape[:2] == shape
    assert pixels[:, : shape[1] // 2].max() < 64 < 192 < pixels[:, -(shape[1] // 2) :].min()
    second = page.get_by_role("group", name="Test images").get_by_role("button").nth(1)
    second.press("Enter")
    expect(second).to_have_class(re.compile("chosen"))
    expect(read).to_have_attribute("src", second.locator("img").get_attribute("src"))


def test_test_images_are_of_all_that_were_held_out(open_page, finished):
    held_out = np.sort(np.load(finished.data() / "05_model_input" / "cvae" / "split.npz")["held_out"])
    labels = np.load(finished.data() / "02_intermediate" / "cvae" / "images" / "labels.npy")[held_out]
    page = open_page("generate")
    shown = page.locator(".hand").get_by_role("group", name="Test images").locator("button span")
    expect(shown.first).to_be_visible()
    told = shown.all_inner_texts()
    assert [told[0], told[-1]] == [str(labels[0]), str(labels[-1])]


@pytest.mark.parametrize("page_name", ["images", "generate"])
def test_pictures_that_cannot_be_read_get_a_sentence(open_page, page_name):
    page = open_page(page_name)
    chosen = page.locator("input[type=file]")
    chosen.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    expect(page.get_by_text("notes.txt is no picture that this browser can read.")).to_be_visible()
    chosen.set_input_files(png(Image.new("1", (8000, 6250))))
    expect(
        page.get_by_text("picture.png has 50 megapixels; this page takes pictures of up to 40 megapixels.")
    ).to_be_visible()


def test_a_slider_moves_all_that_is_drawn_and_a_link_brings_it_back(open_page):
    page = open_page("generate")
    still = source(page, "Drawn images")
    slider = page.locator(".latent").first.get_by_role("slider")
    for _ in range(12):
        slider.press("ArrowRight")
    page.wait_for_function(
        "still => document.querySelector('.large img').src !== still", arg=json.loads(still)[0]
    )
    page.wait_for_function("location.hash.length > 1")
    page.get_by_role("button", name="Roll the dice").click()
    expect(page.get_by_role("spinbutton", name="Seed")).not_to_have_value("0")
    page.wait_for_timeout(500)
    moved, link = source(page, "Drawn images"), page.url
    again = open_page(path_of(link))
    again.wait_for_function(
        "one => document.querySelector('.large img')?.src === one", arg=json.loads(moved)[0]
    )
    assert source(again, "Drawn images") == moved
    page.get_by_role("button", name="Reset the sliders").click()
    page.get_by_role("spinbutton", name="Seed").fill("0")
    page.wait_for_function(
        "one => document.querySelector('.large img').src === one", arg=json.loads(still)[0]
    )


def test_the_way_ends_where_another_class_is_drawn(open_page, finished):
    classes = finished.predictor("cvae").model.classes_
    page = open_page("generate")
    first = json.loads(source(page, "Drawn images"))[0]
    way = json.loads(source(page, "On the way from one class to another"))
    assert way[0] == first
    page.get_by_role("button", name=str(classes[-1]), exact=True).click()
    page.wait_for_function("last => document.querySelector('.large img').src === last", arg=way[-1])


def test_a_drawing_is_written_in_every_class(open_page, finished):
    classes = finished.predictor("cvae").model.classes_
    page = open_page("generate")
    before = source(page, "Every class in the style of the drawing")
    assert len(json.loads(before)) == len(classes)
    page.locator(".hand").get_by_role("group", name="Test images").get_by_role("button").nth(3).click()
    page.wait_for_function(
        "one => document.querySelector('.hand .five img').src !== one", arg=json.loads(before)[0]
    )
    shares = page.get_by_role("list", name="Probability of each class").locator(".bar-name").all_inner_texts()
    assert shares == [str(label) for label in classes]
    expect(page.get_by_role("group", name="Every class").locator("span").last).to_have_text(str(classes[-1]))


def test_a_finger_draws(open_page):
    page = open_page("generate", has_touch=True, viewport={"width": 390, "height": 844})
    before = source(page, "Every class in the style of the drawing")
    pad = page.get_by_role("img", name="Draw here")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.wait_for_function(
        "one => document.querySelector('.hand .five img').src !== one", arg=json.loads(before)[0]
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_all_of_a_page(open_page, name):
    page = open_page(name, viewport={"width": 360, "height": 740})
    expect(page.locator(".card:visible").nth(1)).to_be_visible()
    expect(page.locator(".answer, .large img").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for slider in page.get_by_role("slider").all():
        slider.scroll_into_view_if_needed()
        slider.click(trial=True)  # nothing lies over it


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_dark_where_the_system_is_or_the_user_says_so(open_page, name):
    def background(page) -> int:
        return sum(
            map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3])
        )

    assert background(open_page(name, color_scheme="dark")) < 150
    page = open_page(name, color_scheme="light")
    assert background(page) > 600
    page.get_by_role("button", name="Theme: system").click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert background(page) < 150


def test_pages_without_a_model_say_why(open_page, finished, tmp_path):
    folder = finished.data() / "06_models" / "pca" / "predictor"
    with app(finished, "--model", str(folder)) as server:
        page = open_page("", server)
        expect(page.get_by_role("slider", name="Number of components d")).to_be_visible()
        assert page.url.startswith(f"{server}/images")
        page.get_by_role("link", name="Generate").click()
        expect(page.get_by_text("no such model was named; the page is on those that were")).to_be_visible()


def test_what_is_typed_stays_off_the_disk(open_page, finished, tmp_path, monkeypatch):
    for name in ("TMPDIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    marker = "zzyzxqwv"
    with app(finished, "--env", "test") as server:
        page = open_page("documents", server)
        typed(page, f"{marker} is typed here")
        expect(answer(page)).to_have_text("No word that the model knows")
        content = b"text\n" + f"{marker} is dropped here\n".encode() * 9_000  # more than some keep in memory
        many = {"name": "a.csv", "mimeType": "text/csv", "buffer": content}
        page.locator("input[type=file]").set_input_files(many)
        expect(page.get_by_role("heading", name="9,000 texts")).to_be_visible()
        for folder in (finished.path, tmp_path):
            for path in folder.rglob("*"):
                assert not (path.is_file() and marker.encode() in path.read_bytes()), path


def test_a_model_of_mlflow_is_shown_by_its_name(open_page, finished):
    assert isinstance(finished.predictor("pca"), predictors.PCAPredictor)
    with app(finished, "--model", "latents-pca-test") as server:
        page = open_page("images", server)
        expect(page.get_by_text("Models of latents-pca-test.")).to_be_visible()
        expect(page.locator(".answer")).not_to_be_empty()
