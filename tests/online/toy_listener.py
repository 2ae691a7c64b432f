"""Hears the decisions of a loop and writes them as JSON lines; run as a program."""

import json
import sys

from neurodecode.online import lsl
from neurodecode.online.lsl.library import load_lsl


def main() -> None:
    lsl.configure(session=sys.argv[1])
    found = lsl.find_streams(kind="Decision", timeout=30.0, n=1)[0]
    inlet = load_lsl().StreamInlet(found.info)
    while True:
        row, _ = inlet.pull_sample(30.0)
        if row is None:
            return
        newest, made, status, command = row[-4:]
        heard = lsl.clock()
        line = {"newest": newest, "made": made, "status": int(status), "command": int(command)}
        sys.stdout.write(json.dumps({**line, "heard": heard}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
