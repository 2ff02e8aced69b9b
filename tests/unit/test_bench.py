"""The pure parts of the benchmarks: what they make of what they measured."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bench.__main__ as suite
from bench import calls, costs, made, words
from bench.figures import HEADS, Curve, Figure, Measured, row, together
from bench.made import Said, Sentence
from bench.noise import Errors, compared
from bench.pauses import largest_step
from bench.service import set_for_a_while
from bench.table import markdown
from core.settings import settings

GOOD = Figure("a merge", "≤ 2 s", "1.5 s", True, 1.034, "half as many words")
BAD = Figure("a chunk", "≤ 10 ms", "12 ms", False)


# ---- the table ------------------------------------------------------------------------------


def test_a_row_says_goal_figure_whether_reached_ratio_and_against_what():
    assert markdown(HEADS, [row(GOOD), row(BAD)]).splitlines() == [
        "| what | goal | found | reached | ratio | against |",
        "| --- | --- | --- | --- | --- | --- |",
        "| a merge | ≤ 2 s | 1.5 s | yes | 1.03 | half as many words |",
        "| a chunk | ≤ 10 ms | 12 ms | **no** |  |  |",
    ]


def test_several_measurements_are_one_that_holds_where_all_do():
    curve = Curve("a curve", "words", "s", [(1.0, 2.0)])
    both = together([Measured([GOOD], [curve]), Measured([BAD])])
    assert both == Measured([GOOD, BAD], [curve])
    assert not both.holds
    assert Measured([GOOD]).holds


def test_a_run_leaves_table_json_and_its_exit_code(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(suite, "FOLDER", tmp_path)
    assert suite.main({"merge": _good}, None) == 0
    assert suite.main({"merge": _good, "costs": lambda _: Measured([BAD])}, None) == 1
    assert "| a chunk | ≤ 10 ms | 12 ms | **no** |" in (tmp_path / "results.md").read_text()
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["merge"]["figures"][0]["ratio"] == 1.034
    assert found["costs"]["figures"][0]["holds"] is False


def test_what_is_measured_again_takes_its_own_place(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(suite, "FOLDER", tmp_path)
    suite.main({"costs": lambda _: Measured([BAD])}, None)
    suite.main({"merge": _good}, None)
    better = replace(BAD, found="9 ms", holds=True)
    assert suite.main({"costs": lambda _: Measured([better])}, None) == 0
    table = (tmp_path / "results.md").read_text()
    assert "12 ms" not in table
    assert table.index("a merge") < table.index("9 ms")


def test_a_measurement_that_breaks_is_a_goal_missed_and_the_others_are_measured(
    tmp_path: Path, monkeypatch
):
    def breaks(_: Path | None) -> Measured:
        raise OSError("no space left")

    monkeypatch.setattr(suite, "FOLDER", tmp_path)
    assert suite.main({"upload": breaks, "merge": _good}, None) == 1
    table = (tmp_path / "results.md").read_text()
    assert "| upload | to be measured | OSError: no space left | **no** |" in table
    assert "a merge" in table


def _good(_: Path | None) -> Measured:
    return Measured([GOOD])


def test_measurements_are_chosen_by_name(monkeypatch, tmp_path: Path):
    talks, others = tmp_path / "talks", tmp_path / "others"
    talks.mkdir()
    others.mkdir()
    monkeypatch.setenv("RECORDINGS", str(talks))
    assert suite._arguments(["merge", "kill"]) == (
        {"merge": suite._USUAL["merge"], "kill": suite._USUAL["kill"]},
        talks,
    )
    assert list(suite._arguments(["--small"])[0]) == ["small"]
    assert suite._arguments(["--recordings", str(others)])[1] == others
    with pytest.raises(SystemExit):
        suite._arguments(["speed"])


def test_a_folder_that_is_not_there_is_refused_before_anything_is_measured(capsys):
    with pytest.raises(SystemExit):
        suite._arguments(["--recordings", "nowhere"])
    assert "--recordings: there is no folder nowhere" in capsys.readouterr().err


# ---- rates and chance -----------------------------------------------------------------------


def test_errors_of_all_recordings_count_by_their_size():
    found = compared([Errors(900, 90, 99), Errors(100, 50, 50)])
    assert found.floor == pytest.approx(0.140)
    assert found.ours == pytest.approx(0.149)
    assert found.low <= found.ours - found.floor <= found.high


def test_the_same_recordings_give_the_same_interval():
    recordings = [Errors(100 + n, 10 + n % 3, 10 + n % 4) for n in range(20)]
    assert compared(recordings) == compared(recordings)


def test_what_is_better_here_and_worse_there_is_chance():
    found = compared([Errors(100, 10, 12), Errors(100, 10, 9), Errors(100, 10, 10)] * 5)
    assert found.low < 0 < found.high
    assert found.ours > found.floor
    assert found.within(0.0)


def test_what_is_worse_everywhere_is_not():
    found = compared([Errors(100, 10, 11 + n % 2) for n in range(15)])
    assert found.low > 0.009
    assert not found.within(0.005)
    assert found.within(0.02)


def test_one_recording_says_nothing_about_others():
    found = compared([Errors(1000, 100, 101)])
    assert found.low == found.high == pytest.approx(0.001)
    assert found.points == "+0.10 points, 95 %: +0.10 to +0.10"


def test_the_interval_holds_what_is_true_about_as_often_as_it_says():
    chance = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        drawn = chance.binomial(200, (0.2, 0.23), size=(60, 2))
        found = compared([Errors(200, float(a), float(b)) for a, b in drawn])
        hits += found.low <= 0.03 <= found.high
    assert 180 <= hits <= 199


def test_errors_are_those_of_the_utterance_they_are_in():
    spoken = ["it was the best of times", "call me ishmael"]
    assert words._wrong(spoken, "it was the best of times call me ishmael") == [0, 0]
    assert words._wrong(spoken, "it was best of times call him ishmael") == [1, 1]
    assert words._wrong(spoken, "so it was the best of times call me ishmael you know") == [1, 2]
    assert sum(words._wrong(spoken, "")) == 9


def test_the_largest_step_is_between_neighbours_whichever_way_it_goes():
    assert largest_step([10.0, 11.0, 10.0]) == pytest.approx(1.1)
    assert largest_step([10.0, 5.0, 4.0]) == pytest.approx(2.0)


# ---- costs ----------------------------------------------------------------------------------


def test_a_chunk_costs_the_slope_and_a_job_where_the_line_begins():
    jobs = [costs.Job(n, 1.0, {"statements": 40 + 12.0 * n}) for n in (10, 50, 100)]
    found = costs.Counted(jobs, {"statements": 2.5}, 0.002).costs
    assert found["chunk"]["statements"] == pytest.approx(12)
    assert found["job"]["statements"] == pytest.approx(40)
    assert found["idle second"] == {"statements": 2.5}


# ---- recordings that are made up ------------------------------------------------------------


def sentence(speaker: str, seconds: float) -> Sentence:
    return Sentence(speaker, "some words", np.ones(int(seconds * made.RATE), np.int16))


def test_sentences_of_the_sample_are_whole():
    found = made.sentences()
    assert len(found) == 28
    assert {one.speaker for one in found} == {"anna", "robert"}
    assert found[2].words == "what did they say"
    assert all(len(one.sound) > 0.4 * made.RATE for one in found)


def test_a_sentence_may_begin_before_the_last_one_ends():
    said = made.spoken([sentence("a", 2), sentence("b", 1)], lambda n: (0.5, -0.4)[n])
    assert [(one.start, one.end) for one in said] == [(0.5, 2.5), (2.1, 3.1)]


def test_talks_are_different_and_the_same_each_time(tmp_path: Path):
    first, second = made.talks(tmp_path, many=2, passes=1)
    lines = first.with_suffix(".txt").read_text().splitlines()
    assert sorted(lines) == sorted(second.with_suffix(".txt").read_text().splitlines())
    assert lines != second.with_suffix(".txt").read_text().splitlines()
    assert len(first.with_suffix(".rttm").read_text().splitlines()) == len(lines)
    before = first.read_bytes()
    made.talks(tmp_path, many=1, passes=1)
    assert first.read_bytes() == before
    assert words.recordings(tmp_path) == [first, second]


def test_a_word_is_wrong_where_its_speaker_says_nothing():
    said = [Said(sentence("anna", 2), 0.0), Said(sentence("robert", 2), 3.0)]
    told = [(0, 0.5), (0, 1.5), (1, 3.5), (1, 4.5)]
    heard = [{"speaker": who, "start": at, "end": at + 0.2} for who, at in told]
    assert calls.wrongly_told(said, heard) == 0
    assert calls.wrongly_told(said, [{**one, "speaker": 1 - one["speaker"]} for one in heard]) == 0
    assert calls.wrongly_told(said, [*heard, {"speaker": 0, "start": 4.0, "end": 4.2}]) == 1
    assert calls.wrongly_told(said, [{**one, "speaker": None} for one in heard]) == 2
    assert calls.wrongly_told(said, []) == 0


def test_recordings_of_one_name_have_folders_of_their_own():
    out = Path("out")
    of = [Path("a.wav"), Path("b.wav"), Path("b.mp3")]
    assert words._folders(of, out) == [out / "a", out / "b", out / "b.mp3"]
    assert words._folders([Path("a.wav")], out) == [out]


def test_settings_of_one_measurement_are_not_those_of_the_next(monkeypatch):
    monkeypatch.setenv("CHUNK_DURATION", "20")
    monkeypatch.delenv("CHUNK_OVERLAP", raising=False)
    settings.cache_clear()
    with set_for_a_while({"CHUNK_DURATION": "7", "CHUNK_OVERLAP": "2"}):
        assert (settings().chunk_duration, settings().chunk_overlap) == (7, 2)
    assert (settings().chunk_duration, settings().chunk_overlap) == (20, 5)
    assert "CHUNK_OVERLAP" not in os.environ
