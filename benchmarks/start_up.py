"""Seconds until `neurodecode --help` and `neurodecode list models` have answered, best of 5.

python benchmarks/start_up.py
"""

import subprocess
import time

for words in (["--help"], ["list", "models"]):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(["neurodecode", *words], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    print(f"neurodecode {' '.join(words)}: {min(seconds):.2f} s (worst {max(seconds):.2f})")
