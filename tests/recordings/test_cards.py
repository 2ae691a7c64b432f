"""Cards are found, checked, and lead to recordings that are on this machine without a network."""

import os
import socket
from pathlib import Path

import pytest

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.recordings.cards import find_card, local_files, open_dataset, read_card
from neurodecode.recordings.load import load_recordings


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Any attempt to reach a host is noted and refused."""
    asked: list[object] = []

    def refuse(*args: object, **_: object) -> None:
        asked.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return asked


def test_recordings_on_this_machine_are_read_without_asking_the_network(
    real: Path, no_network: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MOABB alone asks a mirror first, and tries again for minutes where there is no network."""
    monkeypatch.delenv("MOABB_DOWNLOAD_PROVIDER", raising=False)
    card, data_dir = find_card("eegmmidb13", paradigm="mi"), str(real / "eegmmidb")
    with local_files(card, data_dir):
        dataset = open_dataset(card, data_dir=data_dir)
        recordings = list(load_recordings(dataset, 1, events=["hands", "feet"]))
    assert no_network == []
    assert [len(r.label) for r in recordings] == [0, 15]
    assert recordings[1].raw.info["sfreq"] == 160


def test_the_environment_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ)
    with local_files(find_card("eegmmidb13", paradigm="mi"), str(tmp_path)):
        assert os.environ["MNE_DATASETS_EEGBCI_PATH"] == str(tmp_path.resolve())
    assert dict(os.environ) == before


def test_a_users_choice_of_provider_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOABB_DOWNLOAD_PROVIDER", "nemar")
    with local_files(find_card("synthetic", paradigm="mi"), None):
        assert os.environ["MOABB_DOWNLOAD_PROVIDER"] == "nemar"


def test_a_moabb_class_needs_no_card() -> None:
    card = find_card("Cho2017", paradigm="mi")
    assert (card.source["kind"], card.source["class"]) == ("moabb", "Cho2017")


def test_a_folder_that_is_not_there_is_one_line() -> None:
    with (
        pytest.raises(RecordingError, match="is not a folder"),
        local_files(find_card("eegmat", paradigm="state"), "/nowhere"),
    ):
        pass


def test_files_need_a_place() -> None:
    with pytest.raises(RecordingError, match="say where with --data-dir"):
        open_dataset(find_card("eegmat", paradigm="state"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "is not a dataset card"),
        ('name = "x"\ndescription = "d"\nparadigm = "mi"', "must say source"),
        ('name = "x"\nsorce = {}', "Did you mean 'source'"),
    ],
)
def test_a_broken_card_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_card(tmp_path / "card.toml")


def test_an_unknown_data_set_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'eegmmidb13'"):
        find_card("eegmmidb", paradigm="mi")
