"""Seconds to simulate 9 subjects x 2 sessions x 100 trials x 22 channels at 250 Hz: new, kept.

python benchmarks/simulator.py
"""

import os
import tempfile
import time

with tempfile.TemporaryDirectory() as folder:
    os.environ["NEURODECODE_CACHE"] = folder

    from neurodecode.recordings.synthetic import Synthetic

    for word in ("new", "kept"):
        start = time.perf_counter()
        dataset = Synthetic(n_subjects=9, n_sessions=2, n_trials=100, sfreq=250.0)
        n_samples = sum(
            raw.n_times
            for subject in dataset.subject_list
            for runs in dataset.get_data([subject])[subject].values()
            for raw in runs.values()
        )
        seconds = time.perf_counter() - start
        print(f"{word}: {seconds:.1f} s for {n_samples / 250:.0f} s of 22 channels")
