"""How fast several processes train the source's network together: images a second, by one thread each."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from latents.estimators import ConditionalVAE

N_IMAGES, BATCH_SIZE, EPOCHS = 20 * 1024, 1024, 5


def images_per_second(n_processes: int, *, compiled: bool) -> float:
    """Train the reference network on images of random bytes, at a global batch of 1,024.

    By the median of the epochs after the first, in which torch compiles.
    """
    with TemporaryDirectory() as folder:
        multiprocessing.spawn(_work, (n_processes, compiled, folder), nprocs=n_processes)
        return N_IMAGES / float(np.median(np.load(Path(folder, "seconds.npy"))))


def _work(rank: int, size: int, compiled: bool, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(N_IMAGES, 784)).astype(np.float32) / 255
    y = rng.integers(10, size=N_IMAGES)
    model = ConditionalVAE(
        network="reference",
        **{"n_latents": 40, "hidden": (500, 500), "batch_size": BATCH_SIZE, "learning_rate": 1e-3},
        **{"beta_2": 0.999, "schedule": "constant", "kl_warm_up": 0.0, "epochs": EPOCHS},
        **{"precision": "float32", "compiled": compiled, "device": "cpu", "random_state": 0},
    )
    ends: list[float] = []
    model.fit(X, y, on_epoch=lambda *_: ends.append(time.perf_counter()), process_group=dist.group.WORLD)
    if rank == 0:
        np.save(Path(folder, "seconds.npy"), np.diff(ends))
    dist.destroy_process_group()
