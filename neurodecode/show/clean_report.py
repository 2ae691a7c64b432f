"""Report about a cleaned recording: one page of HTML that opens without a network."""

import shlex
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import neurodecode
from neurodecode.artifacts.removed import CHANGED
from neurodecode.core.errors import ConfigError
from neurodecode.experiment.clean import Cleaned
from neurodecode.results.provenance import library_versions
from neurodecode.show.cleaned import percent

LENGTH = 10.0
"""Of a stretch of traces, s."""
N_MOST = 3
"""Stretches where most was removed."""
STYLE = """
:root{color-scheme:light dark;--page:#fff;--card:#f5f6f7;--ink:#1c1e21;--soft:#5a6068;
--faint:#c9cdd2;--bar:#2a7fbf;--warn:#d55e00}
@media(prefers-color-scheme:dark){:root{--page:#15171a;--card:#1e2125;--ink:#e6e8ea;
--soft:#a2a9b1;--faint:#454b52}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;margin:0;overflow-wrap:anywhere}h2{font-size:19px;margin:40px 0 8px}
h3{font-size:15px;margin:24px 0 4px;font-weight:600}
p{margin:4px 0 8px;max-width:75ch}.soft{color:var(--soft)}
svg{width:100%;height:auto;display:block}svg text{font-family:inherit}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:20px 0}
.tile{background:var(--card);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:22px;font-weight:600}
.tile span{color:var(--soft);font-size:13px}
.warn{border-left:4px solid var(--warn);background:var(--card);padding:8px 14px;margin:8px 0}
.key i{display:inline-block;width:22px;height:3px;vertical-align:middle;margin:0 6px 0 14px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:3px 12px 3px 0;border-bottom:1px solid var(--faint)}
th{color:var(--soft);font-weight:500}th:first-child,td:first-child{text-align:left}
td.bar{width:220px;padding-right:0}td.bar div{background:var(--bar);height:9px;border-radius:2px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:8px 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code,pre{font:13px/1.5 ui-monospace,"DejaVu Sans Mono",monospace}
pre{background:var(--card);padding:10px 14px;border-radius:8px;white-space:pre-wrap;
overflow-wrap:anywhere;margin:8px 0}
details summary{cursor:pointer;color:var(--soft)}
@media print{details{display:block}}
"""


def report_path(out: Path, asked: Path | None, *, without: bool) -> Path | None:
    """Where the report goes: where it was asked for, or beside `out`.

    Raises
    ------
    ConfigError
        If it was asked for and refused at once, or does not end in ``.html``.
    """
    if asked is None:
        name = out.name.removesuffix(".gz")
        return None if without else out.with_name(Path(name).stem + ".html")
    if without:
        raise ConfigError(f"--report {asked} and --no-report exclude each other. Give one.")
    if asked.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--report {asked} is a page of HTML. Let its name end in .html.")
    return asked


def page(cleaned: Cleaned) -> str:
    """The whole page."""
    title = f"{cleaned.source.name}, cleaned with {cleaned.method}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_recording_words(cleaned))}</p>',
        "".join(f'<div class="warn">{escape(text)}</div>' for text in cleaned.warnings),
        _tiles(cleaned),
        _traces(cleaned),
        _spectra(cleaned),
        _maps(cleaned),
        _table(cleaned),
        _channels_left(cleaned),
        _learned(cleaned),
        _how(cleaned),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _recording_words(cleaned: Cleaned) -> str:
    raw = cleaned.after
    sfreq = float(raw.info["sfreq"])
    date = raw.info["meas_date"]
    when = f", recorded {date:%Y-%m-%d %H:%M}" if date is not None else ""
    return (
        f"{len(raw.ch_names)} channels, {len(cleaned.removed.ch_names)} of them cleaned; "
        f"{sfreq:g} Hz; {raw.n_times / sfreq:.1f} s{when}"
    )


def _tiles(cleaned: Cleaned) -> str:
    removed = cleaned.removed
    median = float(np.median(removed.shares()))
    most, share = removed.most_changed(1)[0]
    tiles = [
        (percent(removed.share()), "of the variance removed, all channels together"),
        (percent(median), "removed in the median channel"),
        (percent(share), f"removed in {most}, the most changed"),
        (percent(removed.share_of_time), f"of the time changed by more than {CHANGED:g} \u00b5V"),
    ]
    cells = "".join(f'<div class="tile"><b>{v}</b><span>{escape(w)}</span></div>' for v, w in tiles)
    return f'<div class="tiles">{cells}</div>'


def _traces(cleaned: Cleaned) -> str:
    from neurodecode.show.clean_figures import AFTER, BEFORE, shown_channels, traces

    removed = cleaned.removed
    length = min(LENGTH, len(removed.course) / removed.sfreq)
    most, least = removed.stretches(N_MOST, length)
    shown = shown_channels(removed)
    few = (
        f" Of {len(removed.ch_names)} channels the {len(shown)} most changed are shown."
        if len(shown) < len(removed.ch_names)
        else ""
    )
    html = [
        "<h2>Traces</h2>",
        f'<p class="key"><i style="background:{BEFORE};margin-left:0"></i>before'
        f'<i style="background:{AFTER}"></i>after, drawn on top: where only blue is seen, nothing '
        f"was changed.{few}</p>",
    ]
    for i, start in enumerate(most):
        which = ("Most", "Second most", "Third most")[i]
        html += [f"<h3>{which} was removed here: {start:.1f} to {start + length:.1f} s</h3>"]
        html += [traces(cleaned, start, length)]
    if least not in most:
        html += [f"<h3>Least was removed here: {least:.1f} to {least + length:.1f} s</h3>"]
        html += [traces(cleaned, least, length)]
    return "".join(html)


def _spectra(cleaned: Cleaned) -> str:
    from neurodecode.show.clean_figures import spectra

    return (
        "<h2>Spectra</h2><p>Median over channels; shaded from the 10th to the 90th percentile.</p>"
        + spectra(cleaned.removed)
    )


def _maps(cleaned: Cleaned) -> str:
    from neurodecode.show.clean_figures import maps
    from neurodecode.show.figures.topomap import FEWEST

    drawn = maps(cleaned)
    if not drawn:
        drawn = f"<p>Not drawn: fewer than {FEWEST} cleaned channels have a position.</p>"
    return f"<h2>Where it was removed</h2>{drawn}"


def _table(cleaned: Cleaned) -> str:
    from neurodecode.show.clean_figures import bars

    removed = cleaned.removed
    bands = removed.bands()
    head = "".join(f"<th>{name}</th>" for name in bands)
    total, by_band = removed.shares(), {k: removed.shares(band) for k, band in bands.items()}
    together = "".join(f"<td>{percent(removed.share(b))}</td>" for b in bands.values())
    change = "".join(f"<td>{removed.change(b):+.1f} dB</td>" for b in bands.values())
    lines = [
        f"<tr><td>all channels</td><td>{percent(removed.share())}</td>{together}<td></td></tr>",
        f"<tr><td>power after : before</td><td>{removed.change():+.1f} dB</td>{change}"
        f"<td></td></tr>",
    ]
    widths = bars([float(v) for v in total])
    for i in np.argsort(-total, kind="stable"):
        cells = "".join(f"<td>{percent(float(values[i]))}</td>" for values in by_band.values())
        lines.append(
            f"<tr><td>{escape(removed.ch_names[i])}</td><td>{percent(float(total[i]))}</td>{cells}"
            f'<td class="bar"><div style="width:{widths[i]}"></div></td></tr>'
        )
    return (
        "<h2>Removed variance by channel</h2><p>Share of a channel's power above 0.5 Hz, and of "
        "its power in each band. Power after : before is the median over channels.</p>"
        f'<div class="wide"><table><tr><th>channel</th><th>all</th>{head}<th></th></tr>'
        f"{''.join(lines)}</table></div>"
    )


def _channels_left(cleaned: Cleaned) -> str:
    if not cleaned.passed_over:
        return ""
    return f"<h2>Channels left as they are</h2>{_pairs(cleaned.passed_over)}"


def _learned(cleaned: Cleaned) -> str:
    from neurodecode.show.clean_figures import components

    found = learned(cleaned.cleaner)
    if not found:
        return ""
    drawn = components(cleaned)
    if drawn:
        drawn = (
            "<h3>Components that were taken out</h3><p>Number, kind and its score; each map in its "
            f"own scale, red and blue of opposite sign.</p>{drawn}"
        )
    return f"<h2>What the cleaner learned</h2>{_pairs(found)}{drawn}"


def learned(cleaner: object) -> dict[str, str]:
    """Fitted attributes that are short enough to read, in words."""
    found = {}
    for name, value in vars(cleaner).items():
        if not name.endswith("_") or name.startswith("_") or name in ("ch_names_", "sfreq_"):
            continue
        words = _words(value)
        if words:
            found[name.rstrip("_").replace("_", " ")] = words
    return found


def _words(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.ndim < 2 and value.size <= 64 else None
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple) and 0 < len(value) <= 64:
        words = [_words(one) for one in value]
        return ", ".join(words) if all(words) else ""
    return ""


def _how(cleaned: Cleaned) -> str:
    chosen = {name: str(value) for name, value in cleaned.options.items()}
    facts = {
        "recording": str(cleaned.source.resolve()),
        "method": cleaned.method,
        **chosen,
        "fitted to": ", ".join(str(path.resolve()) for path in cleaned.fitted_to),
        "time": f"fitted in {cleaned.seconds['fit']:.1f} s, "
        f"cleaned in {cleaned.seconds['clean']:.1f} s",
        "versions": f"neurodecode {neurodecode.__version__}, "
        + ", ".join(f"{name} {v}" for name, v in library_versions().items()),
    }
    command = shlex.join(["neurodecode", *sys.argv[1:]])
    return f"<h2>How it was made</h2>{_pairs(facts)}<pre>{escape(command)}</pre>"


def _pairs(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{rows}</dl>"
