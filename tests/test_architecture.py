"""The tree: each room imports only the rooms before it, and heavy libraries stay in their rooms."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

import neurodecode

PACKAGE = Path(neurodecode.__file__).parent
ROOMS = (  # a room may import the rooms before it, and no other
    "core", "signal", "recordings", "preprocess", "epochs", "alignment", "nn",
    "models", "artifacts", "export", "online", "results", "training", "evaluation", "explain",
    "experiment", "show", "cli",
)  # fmt: skip
HOMES = {  # a heavy library is imported in its own rooms, and nowhere else
    "mne": {"recordings", "preprocess", "artifacts", "epochs", "models", "explain", "show"},
    "torch": {
        "nn",
        "models",
        "artifacts",
        "training",
        "evaluation",
        "explain",
        "online",
        "export",
        "show",
    },
    "lightning": {"training"},
    "distributed": {"evaluation"},
    "onnx": {"export"},
    "onnxscript": {"export"},
    "onnxruntime": {"export", "online"},
    "braindecode": {"models", "show"},  # `doctor` checks that it imports
    "moabb": {"recordings", "evaluation"},
    "typer": {"cli"},
    "rich": {"show"},
    "matplotlib": {"show"},
    "edfio": {"recordings"},
    "nir": {"export"},
    "pylsl": {"online"},
    "captum": {"explain"},
    "altair": {"show"},
    "vl_convert": {"show"},
    "streamlit": set[str](),
}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imported(path: Path) -> set[tuple[str, ...]]:
    """Dotted names a file imports, split, wherever in the file the import stands."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {tuple(name.split(".")) for name in names}


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_what_its_room_may(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    names = imported(path)
    rooms = {name[1] for name in names if name[0] == "neurodecode" and len(name) > 1}
    assert rooms <= set(ROOMS[: ROOMS.index(room) + 1])
    assert not {name[0] for name in names if room not in HOMES.get(name[0], {room})}


PAGES = sorted((PACKAGE.parent / "dashboards").rglob("*.py"))
DRAWS_WITH = {"streamlit", "pandas", "neurodecode", "parts"}
"""Pages call, choose and draw. What they would compute belongs into a room, where it is tested."""


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_a_page_computes_nothing(path: Path) -> None:
    names = imported(path)
    assert {name[0] for name in names} - set(sys.stdlib_module_names) <= DRAWS_WITH
    rooms = {name[1] for name in names if name[0] == "neurodecode" and len(name) > 1}
    reads = {"experiment"} if path.name == "decisions.py" else set()  # it draws recordings too
    assert rooms <= {"core", "results", "online", "show"} | reads


def test_there_are_pages() -> None:
    assert len(PAGES) > 10


def test_nothing_pickles() -> None:
    banned = {"pickle", "dill", "cloudpickle", "shelve"}
    found = {p.name: n[0] for p in FILES for n in imported(p) if n[0] in banned}
    assert found == {}
    calls = ("torch.load(", "joblib.load", "np.load(", "allow_pickle=True")
    assert [p.name for p in FILES for c in calls if c in p.read_text(encoding="utf-8")] == []


def test_the_constraints_pin_every_dependency() -> None:
    root = PACKAGE.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [w for extra in project["optional-dependencies"].values() for w in extra]
    wanted = [w for w in project["dependencies"] + extras if not w.startswith(project["name"])]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = {w.split(">")[0].split("=")[0].split("[")[0].strip().lower() for w in wanted}
    assert names
    assert names <= pinned
