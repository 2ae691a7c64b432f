"""What `neurodecode clean` says at the end: a summary on stdout, or one JSON document."""

import json
import sys
from typing import Any

from neurodecode.experiment.clean import Cleaned
from neurodecode.show import console

MOST = 5
"""Channels named as the most changed."""


def percent(share: float) -> str:
    """A share with two digits that count, at most one after the point."""
    value = 100 * share
    if 0 < value < 0.1:
        return "<0.1 %"
    return f"{value:.0f} %" if value >= 9.95 or not value else f"{value:.1f} %"


def document(cleaned: Cleaned) -> dict[str, Any]:
    """The same as the summary, as JSON takes it."""
    removed, raw = cleaned.removed, cleaned.after
    return {
        "input": str(cleaned.source),
        "n_chans": len(raw.ch_names),
        "n_cleaned": len(removed.ch_names),
        "sfreq": float(raw.info["sfreq"]),
        "duration": raw.n_times / float(raw.info["sfreq"]),
        "method": cleaned.method,
        "options": cleaned.options,
        "fitted_to": [str(path) for path in cleaned.fitted_to],
        "removed_share": {
            "total": removed.share(),
            **{name: removed.share(band) for name, band in removed.bands().items()},
        },
        "removed_share_per_channel": dict(
            zip(removed.ch_names, map(float, removed.shares()), strict=True)
        ),
        "share_of_time_changed": removed.share_of_time,
        "passed_over": cleaned.passed_over,
        "warnings": cleaned.warnings,
        "seconds": cleaned.seconds,
        "files": {what.lstrip("-").lower(): str(path) for what, path in cleaned.files.items()},
    }


def rows(cleaned: Cleaned) -> list[tuple[str, str]]:
    """Label and words of each line of the summary."""
    removed, raw = cleaned.removed, cleaned.after
    sfreq = float(raw.info["sfreq"])
    own = cleaned.fitted_to == (cleaned.source,)
    fitted = "this recording" if own else ", ".join(map(str, cleaned.fitted_to))
    chosen = "".join(f", {name} = {value}" for name, value in cleaned.options.items())
    bands = removed.bands().items()
    lines = [
        ("read", f"{cleaned.source}: {len(raw.ch_names)} channels, {sfreq:g} Hz, "
                 f"{raw.n_times / sfreq:.1f} s"),
        ("method", f"{cleaned.method}{chosen}; fitted to {fitted} in "
                   f"{cleaned.seconds['fit']:.1f} s, cleaned in {cleaned.seconds['clean']:.1f} s"),
        ("removed", f"{percent(removed.share())} of the variance of {len(removed.ch_names)} "
                    f"channels; {percent(removed.share_of_time)} of the time was changed by more "
                    f"than 1 uV"),
        ("by band", ", ".join(f"{name} {percent(removed.share(band))}" for name, band in bands)),
        ("most in", ", ".join(f"{n} {percent(s)}" for n, s in removed.most_changed(MOST))),
    ]  # fmt: skip
    if cleaned.passed_over:
        listing = ", ".join(f"{name} ({why})" for name, why in cleaned.passed_over.items())
        lines.append(("left alone", listing))
    lines += [("warning", text) for text in cleaned.warnings]
    lines.append(("wrote", ", ".join(str(path) for path in cleaned.files.values())))
    return lines


def show_cleaned(cleaned: Cleaned, *, as_json: bool) -> None:
    """Print what was done."""
    if as_json:
        sys.stdout.write(json.dumps(document(cleaned), indent=1) + "\n")
        return
    out = console()
    for label, words in rows(cleaned):
        out.print(f"{label:<11}{words}", markup=False, soft_wrap=True)
