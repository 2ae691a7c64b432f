"""Lay converted recordings out as their originals were published, so that the cards find them.

    python benchmarks/lay_out_real.py FROM TO [--only eegmat]

FROM holds the conversions (eegmat/, bonn-eeg/, muse/, ssvep-exo/: NumPy archives, each with a
README that gives units and sources); TO gets eegmat/, bonn/, muse/ and ssvep_exo/, one for each
card in datasets/. Sampling rates and losses of the conversion stay: EEGMAT at 125 instead of
500 Hz, SSVEP as trials of 7 s one behind the other.
"""

import argparse
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import mne
import numpy as np

TRIAL = {1: "rest", 2: "13", 3: "21", 4: "17"}  # the README's codes; not in order of frequency
MUSE_TASKS = ("visual P300", "visual SSVEP", "visual N170", "auditory P300")


def lay_out_eegmat(source: Path, target: Path) -> int:
    """``Subject00_1.edf`` at rest, ``Subject00_2.edf`` subtracting; labels as in the originals."""
    paths = sorted(source.glob("Subject*.npz"))
    for path in paths:
        archive = np.load(path)
        names = ["ECG ECG" if n == "ECG" else f"EEG {n}" for n in archive["ch_names"]]
        info = mne.create_info(names, float(archive["sfreq"]), "eeg", verbose="ERROR")
        for part, name in ((1, "rest"), (2, "task")):
            microvolts = archive[name] * archive[f"{name}_scale_uV"][:, None]
            raw = mne.io.RawArray(1e-6 * microvolts, info, verbose="ERROR")
            target.mkdir(parents=True, exist_ok=True)
            mne.export.export_raw(
                target / f"{path.stem}_{part}.edf", raw,
                physical_range="channelwise", overwrite=True, verbose="ERROR",
            )  # fmt: skip
    return 2 * len(paths)


def lay_out_bonn(source: Path, target: Path) -> int:
    """``Z/Z001.txt`` and so on: one whole number a line, original file names."""
    archive = np.load(source / "bonn_eeg.npz")
    for x, letter, name in zip(
        archive["data"], archive["set_label"], archive["file_name"], strict=True
    ):
        (target / letter).mkdir(parents=True, exist_ok=True)
        (target / letter / name).write_text("\n".join(map(str, x.tolist())) + "\n")
    return len(archive["data"])


def lay_out_muse(source: Path, target: Path) -> int:
    """``visual/P300/subject1/session1/data-<date>.csv``: time, five channels, marker."""
    paths = [
        p for p in sorted(source.glob("*.npz")) if p.name.replace("_", " ").startswith(MUSE_TASKS)
    ]
    for path in paths:
        archive = np.load(path)
        subject, session = str(archive["subject"]), str(archive["session"])
        record = path.stem.split(f"{session}_")[1]
        start = datetime.strptime(record.partition("-")[2] + "+0000", "%Y-%m-%d-%H-%M-%S%z")
        x, lsb = archive["data"], float(archive["lsb_uV"])
        text = {value: f"{value * lsb:.3f}" for value in np.unique(x).tolist()}
        marker = np.zeros(x.shape[1], dtype=int)
        marker[archive["event_sample"]] = archive["event_code"]
        times = start.timestamp() + np.arange(x.shape[1]) / float(archive["sfreq"])
        columns = [
            [f"{t:.3f}" for t in times.tolist()],
            *([text[value] for value in row] for row in x.tolist()),
            map(str, marker.tolist()),
        ]
        header = ["timestamps", *archive["ch_names"], "Marker0"]
        lines = [",".join(header), *map(",".join, zip(*columns, strict=True))]
        folder = target / str(archive["task"]).replace(" ", "/") / subject / session
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{record}.csv").write_text("\n".join(lines) + "\n")
    return len(paths)


def lay_out_ssvep_exo(source: Path, target: Path) -> int:
    """``subject01/<date>_raw.fif``: trials joined, a boundary between two, a marker at each cue.

    The numbers are those of the published FIF files, which claim volts and are closer to
    millivolts; the card says so.
    """
    paths = sorted(source.glob("subject*.npz"))
    for path in paths:
        archive = np.load(path)
        subject, session = path.stem.split("_", maxsplit=1)
        sfreq = float(archive["sfreq"])
        x = archive["epochs"] * archive["scale"][..., None]  # (n_epochs, n_chans, n_times)
        starts = np.arange(len(x)) * x.shape[2] / sfreq
        info = mne.create_info([str(n) for n in archive["ch_names"]], sfreq, "eeg", verbose="ERROR")
        raw = mne.io.RawArray(np.concatenate(list(x), axis=1), info, verbose="ERROR")
        cues = mne.Annotations(
            starts - float(archive["t0"]), 0.0, [TRIAL[int(code)] for code in archive["label"]]
        )
        for word in ("BAD", "EDGE"):  # MNE's pair: no window and no filter crosses it
            cues += mne.Annotations(starts[1:], 0.0, f"{word} boundary")
        raw.set_annotations(cues, verbose="ERROR")
        (target / subject).mkdir(parents=True, exist_ok=True)
        raw.save(target / subject / f"{session}_raw.fif", overwrite=True, verbose="ERROR")
    return len(paths)


SETS: dict[str, tuple[str, Callable[[Path, Path], int]]] = {
    "eegmat": ("eegmat", lay_out_eegmat),
    "bonn": ("bonn-eeg", lay_out_bonn),
    "muse": ("muse", lay_out_muse),
    "ssvep_exo": ("ssvep-exo", lay_out_ssvep_exo),
}


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, write the folders, say how many files and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("target", type=Path, metavar="TO")
    parser.add_argument("--only", choices=SETS, action="append")
    options: Any = parser.parse_args(arguments)
    for name in options.only or SETS:
        folder, lay_out = SETS[name]
        if not (options.source / folder).is_dir():
            parser.error(f"there is no folder {options.source / folder}")
        start = time.perf_counter()
        n_files = lay_out(options.source / folder, options.target / name)
        print(f"{name}: {n_files} files in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
