"""Whatever a recording is called, its results stay in the output directory."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transcribe_api.cli.files import _choose_targets
from transcribe_api.folder_names import MAX_NAME_BYTES, build_folder_name

NAMES = st.text(st.one_of(st.sampled_from("./\\ \u200c\u200d\n\x00\ud800"), st.characters()))


@given(NAMES, st.booleans())
@example("..", False)
@example("...mp3", False)
@example("...mp3", True)
def test_any_name_is_one_part_of_a_path(name: str, keep_suffix: bool) -> None:
    folder = build_folder_name(name, keep_suffix=keep_suffix)
    assert folder.strip()
    assert not set("/\\\0") & set(folder)
    assert folder not in (".", "..")
    assert len(folder.encode()) <= MAX_NAME_BYTES
    assert Path("out", folder).resolve().parent == Path("out").resolve()


@given(st.lists(NAMES.filter(lambda name: "\0" not in name), min_size=2, unique=True))
def test_folders_of_several_files_are_apart_and_in_the_output(names: list[str]) -> None:
    targets = _choose_targets([Path("in") / name.replace("/", "_") for name in names], Path("out"))
    assert len(set(targets.values())) == len(targets)
    if len(targets) > 1:
        assert {folder.parent for folder in targets.values()} == {Path("out")}


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("call.wav", "call"),
        ("a.b.wav", "a.b"),
        ("...mp3", "mp3"),
        ("..", "recording"),
        ("می\u200cخواهم.wav", "می\u200cخواهم"),
        ("क्\u200dष.wav", "क्\u200dष"),
    ],
)
def test_names_are_kept_as_far_as_they_can_be(name: str, folder: str) -> None:
    assert build_folder_name(name) == folder
