"""Windows by PyTorch's DataLoader over h5py and scipy, beside `cargo run --release -p signal-domains --example stream`.

    python loader.py make-hdf5 FILE.h5 [GB]      one file of recordings of 25 million float32; sparse: no disk is taken
    python loader.py make-dense FILE.h5 [MB [BITS]]  the same of 2.5 million noisy samples each, written in full, of 32 or 64 bits
    python loader.py make-folder FOLDER [N]      N small MAT files, and their manifest `m.toml`
    python loader.py read FILE.h5|FOLDER [WINDOWS [LENGTH [WORKERS]]]

The windows are those of the example, in the same order. A worker keeps its HDF5 file open; MAT files are read whole by
`scipy.io.loadmat`, as scipy has no other way, and the last 64 are kept.
"""

import collections
import pathlib
import resource
import sys
import time

import h5py
import numpy as np

STEP = 7_368_787


def make_hdf5(path, gigabytes=20):
    """Contiguous and written late: what is not written is a hole, and reads as zeros."""
    samples = 25_000_000
    with h5py.File(path, "w") as file:
        for n in range(int(gigabytes * 10)):
            data = file.create_dataset(f"r{n:03}", (samples,), "f4")
            data[n] = n + 1
            data[samples - 1] = 1
    write_manifest(path, int(gigabytes * 10))


def make_dense(path, megabytes=400, bits=32):
    rng = np.random.default_rng(0)
    samples = 2_500_000
    count = max(1, megabytes * 8_000_000 // (samples * bits))
    with h5py.File(path, "w") as file:
        for n in range(count):
            file.create_dataset(f"r{n:03}", data=rng.standard_normal(samples, f"f{bits // 8}"))
    write_manifest(path, count)


def write_manifest(path, count):
    manifest = ["[dataset]", 'rate_hz = 25600', f'root = "."']
    name = pathlib.Path(path).name
    for n in range(count):
        # one file, many recordings: each states its data set
        manifest += ["[[recording]]", f'file = "{name}"', f'domain = "d{n:03}"', f'channels = [{{ name = "x", key = "r{n:03}" }}]']
    pathlib.Path(path).with_suffix(".toml").write_text("\n".join(manifest) + "\n")


def make_folder(folder, count=10_000):
    from scipy.io import savemat

    folder = pathlib.Path(folder)
    rng = np.random.default_rng(0)
    for n in range(count):
        path = folder / f"rig{n % 4}" / f"class{n % 7}_{n}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"x": rng.standard_normal((4096, 1))})
    (folder / "m.toml").write_text(
        "[dataset]\nrate_hz = 12000\nfiles = '**/*.mat'\n"
        "pattern = '(?<domain>rig\\d)/(?<class>class\\d)_(?<n>\\d+)'\n"
    )


class Hdf5:
    def __init__(self, path):
        self.path, self.file = path, None
        with h5py.File(path) as file:
            self.names = sorted(file)
            self.lengths = [len(file[name]) for name in self.names]

    def window(self, recording, start, length):
        if self.file is None:
            self.file = h5py.File(self.path)
        return self.file[self.names[recording]][start : start + length]


class Folder:
    def __init__(self, path):
        # as `crossrig` sorts: by domain, then by file
        self.files = sorted(pathlib.Path(path).glob("*/*.mat"))
        self.lengths = [4096] * len(self.files)
        self.kept = collections.OrderedDict()

    def window(self, recording, start, length):
        from scipy.io import loadmat

        if recording not in self.kept:
            self.kept[recording] = loadmat(self.files[recording])["x"].ravel()
            if len(self.kept) > 64:
                self.kept.popitem(last=False)
        return self.kept[recording][start : start + length]


def read(path, count=10_000, length=1024, workers=2):
    import torch
    from torch.utils.data import DataLoader, Dataset

    source = Folder(path) if pathlib.Path(path).is_dir() else Hdf5(path)
    windows = [(r, k * length) for r, n in enumerate(source.lengths) for k in range(n // length)]

    class Windows(Dataset):
        def __len__(self):
            return count

        def __getitem__(self, k):
            recording, start = windows[k * STEP % len(windows)]
            return torch.from_numpy(np.array(source.window(recording, start, length), np.float64))

    loader = DataLoader(Windows(), batch_size=64, num_workers=workers, persistent_workers=workers > 0)
    for turn in ("first", "again"):
        start = time.perf_counter()
        total = sum(float(batch.sum()) for batch in loader)
        spent = time.perf_counter() - start
        print(f"{turn}: {count} of {len(windows)} windows, {count / spent:.0f} a second, sum {total}", flush=True)
    own, children = (resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"peak {own} kB, of a worker {children} kB; torch {torch.__version__}, h5py {h5py.__version__}")


if __name__ == "__main__":
    command, path, *numbers = sys.argv[1:]
    {"make-hdf5": make_hdf5, "make-dense": make_dense, "make-folder": make_folder, "read": read}[command](path, *map(int, numbers))
