#!/usr/bin/env bash
# Gradio 6.31.0 with gradio_client 2.7.2.
#
# Behaviour: each picture that a handler returns as an array, and each different one of a slider's, is written to a
# file under GRADIO_TEMP_DIR (by default the system's temporary folder), from which the browser fetches it. The files
# are still there when the page is closed; unless Blocks(delete_cache=...) says otherwise, nothing removes them. A page
# that shows what somebody drew, or what a model made of it, so leaves all of it on disk.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gradio==6.31.0 gradio_client==2.7.2 numpy==2.4.6
cd "$folder"
mkdir kept
GRADIO_TEMP_DIR=$PWD/kept GRADIO_ANALYTICS_ENABLED=False HF_HUB_OFFLINE=1 venv/bin/python -W ignore > seen << 'PYTHON'
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import gradio
import numpy as np
from gradio_client import Client


def draw(grey):
    return np.full((64, 64, 3), int(grey), np.uint8)


def kept():
    return sorted(path.suffix for path in Path("kept").rglob("*") if path.is_file())


with gradio.Blocks() as page:
    slider, image = gradio.Slider(0, 255, step=1), gradio.Image(format="png")
    slider.change(draw, slider, image, api_name="draw")
with redirect_stdout(StringIO()):
    page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    client = Client(page.local_url, verbose=False, download_files=False)
    for grey in (1, 2, 3, 3):
        client.predict(grey, api_name="/draw")
shown = kept()
with redirect_stdout(StringIO()):
    page.close()
print("4 pictures shown, 3 of them different:", shown)
print("the page is closed:", kept())
PYTHON
diff seen - << 'SEEN'
4 pictures shown, 3 of them different: ['.png', '.png', '.png']
the page is closed: ['.png', '.png', '.png']
SEEN
echo "as described"
