"""What workers do in tests, in a file of its own: it imports no more than it needs."""

import os
import signal
import threading
from pathlib import Path

from latents.datasets.count_blocks import write_block


class Dying:
    """Blocks of which the third one ends the process that reads it, the first time."""

    def __init__(self, blocks, marker):
        self.blocks, self.marker = blocks, str(marker)

    def __len__(self):
        return len(self.blocks)

    def __getitem__(self, number):
        if number == 2 and not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.blocks[number]


def end(_):
    """End the process, as one does that outgrows its memory each time."""
    os.kill(os.getpid(), signal.SIGKILL)


def texts_of(table, number):
    return table["text"].tolist()


def n_threads_of_polars(_):
    import polars as pl

    return pl.thread_pool_size()


def write_or_die(marker, folder, number, counts):
    """Write a block; the first time that a third one is to be written, be killed while it is."""
    if number == 2 and not Path(marker).exists():
        Path(marker).touch()
        threading.Timer(0, os.kill, (os.getpid(), signal.SIGKILL)).start()
        while True:
            write_block(folder, number, counts)
    return write_block(folder, number, counts)
