"""Of several audio tracks, callers choose one, or all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from chunking import tracks
from chunking.cut import AudioChunker
from chunking.decode import decoder, selection
from chunking.decode.decoder import DEFAULT_LIMITS
from chunking.decode.selection import Selection, select_channels, select_mix
from chunking.recut import recut_audio
from core.db.transactions import read_session
from core.errors import InvalidInput, MediaError
from core.jobs import lifecycle
from core.states import Channels
from tests.unit.media import babble, encode, silence, tone
from transcribe_api.app import create_app
from transcribe_api.http.requests import parsing
from transcripts.types import ChannelInterval

pytestmark = pytest.mark.usefixtures("database")

RATE = decoder.SAMPLE_RATE
URL = "/api/transcribe/jobs/transcribe"


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody on an English track, who answers somebody on a Portuguese one."""
    first = np.concatenate([babble(4), silence(5)])
    second = np.concatenate([silence(5), babble(4, seed=2)])
    path = tmp_path_factory.mktemp("tracks") / "two.mka"
    return encode(path, first, second, codec="flac", languages=("eng", "por"))


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def read(path: Path, chosen: Selection) -> np.ndarray:
    with chosen.stream(path, DEFAULT_LIMITS) as stream:
        return np.frombuffer(b"".join(stream), "<i2").astype(np.float32) / 32768


def is_loud(samples: np.ndarray) -> bool:
    return bool(np.sqrt(np.mean(samples**2)) > 0.01)


@pytest.mark.parametrize(
    ("track", "is_first"),
    [("1", True), ("2", False), ("en", True), ("eng", True), ("pt", False), ("pt-BR", False)],
)
def test_a_track_is_chosen_by_number_or_language(two_people: Path, track: str, is_first: bool):
    samples = read(two_people, Selection(track=track))
    assert is_loud(samples[: 4 * RATE]) is is_first
    assert is_loud(samples[5 * RATE :]) is not is_first


@pytest.mark.parametrize("track", ["3", "fr"])
def test_a_track_that_is_not_there_is_reported(two_people: Path, track: str):
    with pytest.raises(MediaError) as caught:
        decoder.probe(two_people, track=track)
    assert caught.value.code == "no_such_track"


def test_all_tracks_are_one_mix(two_people: Path):
    chosen = select_mix(two_people, DEFAULT_LIMITS, "all")
    assert chosen.mixed_tracks == (1, 2)
    samples = read(two_people, chosen)
    assert len(samples) == pytest.approx(9 * RATE, abs=RATE / 10)
    assert is_loud(samples[: 4 * RATE])
    assert is_loud(samples[5 * RATE :])


def test_a_mix_is_as_long_as_its_longest_track(tmp_path: Path):
    path = encode(tmp_path / "a.mka", tone(1), tone(3), codec="flac")
    with select_mix(path, DEFAULT_LIMITS, "all").stream(path, DEFAULT_LIMITS) as stream:
        samples = np.frombuffer(b"".join(stream), "<i2").astype(np.float32) / 32768
    assert stream.result.seconds == pytest.approx(3, abs=0.1)
    assert stream.result.warnings == ()
    assert is_loud(samples[2 * RATE :])


def test_all_of_one_track_is_that_track(tmp_path: Path):
    path = encode(tmp_path / "a.mka", tone(1), codec="flac")
    assert select_mix(path, DEFAULT_LIMITS, "all") == Selection()


def test_each_of_several_tracks_is_a_speaker(two_people: Path, tmp_path: Path):
    parts = tracks.cut_channels(AudioChunker(), two_people, tmp_path)
    assert [(part.channel, part.speech[0].start < 4) for part in parts.chunks] == [
        (0, True),
        (1, False),
    ]
    for number, part in enumerate(parts.chunks):
        part.write_wav(tmp_path / "first.wav")
        recut_audio(two_people, part.interval, tmp_path / "again.wav", DEFAULT_LIMITS)
        assert (tmp_path / "first.wav").read_bytes() == (tmp_path / "again.wav").read_bytes(), (
            number
        )


def test_a_lost_piece_of_a_mix_is_cut_again(two_people: Path, tmp_path: Path):
    parts = tracks.cut_mix(AudioChunker(), two_people, tmp_path, track="all")
    part = parts.chunks[-1]
    part.write_wav(tmp_path / "first.wav")
    recut_audio(two_people, part.interval, tmp_path / "again.wav", DEFAULT_LIMITS, track="all")
    assert (tmp_path / "first.wav").read_bytes() == (tmp_path / "again.wav").read_bytes()
    assert part.interval == ChannelInterval(part.window.start, part.window.end)


@pytest.mark.parametrize("name", ["a.mkv", "a.mka"])
def test_a_track_that_is_shorter_than_the_file_breaks_nothing_off(tmp_path: Path, name: str):
    path = encode(tmp_path / name, babble(20), babble(5, seed=2), codec="flac")
    assert tracks.cut_channels(AudioChunker(), path, tmp_path).warnings == ()


def test_tracks_that_are_alike_are_named_as_tracks(tmp_path: Path):
    path = encode(tmp_path / "a.mka", babble(6), babble(6), codec="flac")
    with pytest.raises(tracks.ChannelsAlike) as caught:
        tracks.cut_channels(AudioChunker(), path, tmp_path)
    assert caught.value.warning.sentence.startswith("All audio tracks of the recording")
    parts = tracks.cut_mix(AudioChunker(), path, tmp_path, track=caught.value.track)
    assert parts.warnings == (), "no track is missing"


def test_the_channels_of_a_requested_track(two_people: Path):
    assert select_channels(two_people, DEFAULT_LIMITS, "2") == [Selection(track="2", channel=0)]


def test_too_many_tracks_are_refused_with_the_number(
    two_people: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(selection, "MAX_CHANNELS", 1)
    for choose, track in ((select_mix, "all"), (select_channels, None)):
        with pytest.raises(MediaError, match=r"at most 1 audio tracks; this one has 2"):
            choose(two_people, DEFAULT_LIMITS, track)


@pytest.mark.parametrize("track", ["0", "100", "english!", "1,2", "-1"])
def test_what_is_no_track_is_refused(track: str):
    with pytest.raises(InvalidInput, match="a number from 1 to 99, a language tag") as caught:
        parsing.parse_job({"track": track})
    assert caught.value.field == "track"


@pytest.mark.parametrize(("sent", "kept"), [("2", "2"), ("ALL", "all"), ("pt-BR", "pt-BR")])
def test_a_job_remembers_its_track(sent: str, kept: str):
    assert parsing.parse_job({"track": sent}).track == kept
    assert parsing.parse_job({"track": "", "channels": "separate"}).channels is Channels.SEPARATE


def test_a_track_that_a_recording_lacks_is_refused_at_once(browser: FlaskClient, two_people: Path):
    form = {"file": (two_people.open("rb"), "two.mka"), "track": "fr"}
    answer = browser.post(URL, data=form)
    assert (answer.status_code, answer.json["field"], answer.json["code"]) == (
        422,
        "track",
        "no_such_track",
    )
    assert answer.json["detail"].endswith("its tracks: 1, 2")


def test_a_track_is_sent_with_a_job(browser: FlaskClient, two_people: Path):
    form = {"file": (two_people.open("rb"), "two.mka"), "track": "all"}
    answer = browser.post(URL, data=form)
    with read_session() as session:
        job = lifecycle.get_job(session, answer.json["job_id"])
        assert lifecycle.read_spec(job).track == "all"
