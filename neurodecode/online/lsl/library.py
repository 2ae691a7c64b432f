"""Loading liblsl and configuring it, once per process.

Configuration of liblsl: https://labstreaminglayer.readthedocs.io/info/lslapicfg.html
"""

import logging
import os
import re
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError, NeurodecodeError

logger = logging.getLogger(__name__)

# With the scope "machine" a question goes to one of the programs on this machine, by chance, where
# it is a multicast over the loopback interface all of them hear it: https://github.com/sccn/liblsl
# issues 28, 92, 202. Programs with liblsl's own configuration find these streams, and are found.
THIS_MACHINE = """[ports]
IPv6 = disable
[multicast]
ResolveScope = link
Interfaces = {127.0.0.1}
AddressesOverride = {224.0.0.183}
TTLOverride = 0
"""
QUIET = "[log]\nlevel = -3\n"
SESSION = "default"
PLACES = ("on this machine", "on the network")

_configured: tuple[bool, str] | None = None


class StreamLost(NeurodecodeError):
    """A stream that was there has gone; look for it again."""


def configure(*, network: bool = False, session: str | None = None) -> None:
    """Say where this process looks for streams, and where its own are found.

    liblsl takes this once per process, before anything else is asked of it: without a call, the
    defaults hold from the first use on.

    Parameters
    ----------
    network
        Look beyond this machine, as liblsl does by default.
    session
        Only streams of the same session see each other; by default "default", as liblsl has it.

    Raises
    ------
    ConfigError
        If the process has been configured otherwise before, `session` is not a word, or there is
        no liblsl.
    """
    global _configured
    session = SESSION if session is None else session
    if not re.fullmatch(r"[\w.-]{1,64}", session):
        raise ConfigError(
            f"'{session}' cannot be a session id. Write up to 64 letters, digits, '-', '_' or '.'."
        )
    if _configured == (network, session):
        return
    if _configured is not None:
        raise ConfigError(
            f"This process uses LSL session '{_configured[1]}' {PLACES[_configured[0]]} already, "
            f"and cannot change to '{session}' {PLACES[network]}. Start another process for that."
        )
    pylsl = _import()
    own = _own_file(network)
    if own is None:
        here = "" if network else THIS_MACHINE
        pylsl.set_config_content(f"{here}[lab]\nSessionID = {session}\n{QUIET}")
    else:
        logger.warning("LSL is configured by %s: network and session id are as it says", own)
    _configured = (network, session)


def _own_file(network: bool) -> Path | None:
    """The configuration that a person has written for liblsl, in the order in which it looks."""
    places = [os.environ.get("LSLAPICFG")]
    if network:
        places += ["lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg"]
    paths = (Path(place).expanduser() for place in places if place)
    return next((path for path in paths if path.is_file()), None)


def _import() -> Any:
    try:
        import pylsl
    except (ImportError, RuntimeError, OSError) as error:  # RuntimeError: it finds no liblsl
        reason = " ".join(str(error).split())[:120].rstrip(". ")
        raise ConfigError(
            f"LSL cannot be used: pylsl finds no liblsl ({reason}). Install it with `pip install "
            f"pylsl` where its wheel brings liblsl (Linux x86-64 with glibc 2.35, macOS, Windows), "
            f"elsewhere with `conda install -c conda-forge liblsl`."
        ) from error
    return pylsl


def load_lsl() -> Any:
    """The module pylsl, with liblsl configured.

    Raises
    ------
    ConfigError
        If there is no liblsl.
    """
    if _configured is None:
        configure()
    return _import()


def clock() -> float:
    """Seconds on the clock that time stamps of this machine are given in."""
    return float(load_lsl().local_clock())


def session_id() -> str:
    """Of this process."""
    return _configured[1] if _configured else SESSION


def library_version() -> str:
    """Of liblsl, such as "1.18"."""
    major, minor = divmod(int(load_lsl().library_version()), 100)
    return f"{major}.{minor}"
