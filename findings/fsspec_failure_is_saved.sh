#!/usr/bin/env bash
# fsspec 2026.9.0 and s3fs 2026.9.0, on the local disk, in memory and on moto 5.2.5's S3.
#
# Behaviour: an exception within "with fs.open(path, 'wb')" saves what has been written by then, as Python's own open
# does, but on S3 too, where an object else appears whole or not at all. What was there before is gone, and nothing
# tells half an object from a whole one. What prevents it differs. Opened with autocommit=False, the local disk and S3
# keep the former content; memory takes the option and does as before. "with fs.transaction" keeps it on all three for
# what is opened, but pipe_file on S3, and put_file on S3 and the local disk, write past a transaction that is given up.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fsspec==2026.9.0 s3fs==2026.9.0 moto==5.2.5 flask==3.1.3 flask-cors==6.0.5
cd "$folder"
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1
venv/bin/python > seen 2> told << 'PYTHON'
import contextlib
import os

import fsspec
from moto.server import ThreadedMotoServer


def opened(fs, path, **options):
    with fs.open(path, "wb", **options) as file:
        file.write(b"half")
        raise InterruptedError


def in_transaction(way):
    def written(fs, path):
        with fs.transaction:
            way(fs, path)
            raise InterruptedError

    return written


with open("half", "wb") as file:
    file.write(b"half")
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
s3 = fsspec.filesystem("s3", endpoint_url="http://{}:{}".format(*server.get_host_and_port()), use_listings_cache=False)
s3.mkdir("bucket")
os.mkdir("bucket")
for way, written in {
    "open": opened,
    "open, autocommit=False": lambda fs, path: opened(fs, path, autocommit=False),
    "transaction, open": in_transaction(opened),
    "transaction, pipe_file": in_transaction(lambda fs, path: fs.pipe_file(path, b"half")),
    "transaction, put_file": in_transaction(lambda fs, path: fs.put_file("half", path)),
}.items():
    for name, fs in {"local": fsspec.filesystem("file"), "memory": fsspec.filesystem("memory"), "S3": s3}.items():
        fs.pipe_file("bucket/table", b"former")
        with contextlib.suppress(InterruptedError):
            written(fs, "bucket/table")
        print(f"{way}: {name} {fs.cat_file('bucket/table').decode()}")
server.stop()
PYTHON
diff seen - << 'SEEN'
open: local half
open: memory half
open: S3 half
open, autocommit=False: local former
open, autocommit=False: memory half
open, autocommit=False: S3 former
transaction, open: local former
transaction, open: memory former
transaction, open: S3 former
transaction, pipe_file: local former
transaction, pipe_file: memory former
transaction, pipe_file: S3 half
transaction, put_file: local half
transaction, put_file: memory former
transaction, put_file: S3 half
SEEN
echo "as described"
