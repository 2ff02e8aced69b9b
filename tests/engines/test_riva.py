"""The Riva engine against a server that speaks its protocol: words, failures, and whom it asks."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import jiwer
import pytest

pytest.importorskip(
    "riva.client", reason="Riva's client is not installed: pip install -e '.[riva]'"
)

import riva.client
import simpleder
from riva.client.proto import riva_asr_pb2 as pb

from core.errors import EngineError, SettingsError, Transient, Unavailable
from core.settings import Settings, settings
from engines import catalog
from engines.base import Hints, SpeakerHints
from engines.riva import Riva
from engines.riva_client import responses
from engines.riva_client.client import RivaClient
from engines.riva_client.server_models import RivaModel, choose_models
from tests.engines.riva_server import Server
from tests.engines.riva_server import riva as running
from tests.integration.conftest import wait_until
from transcripts.types import Turn, Word

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
RATE = 16_000
#: Seconds of the sample that are listened to, and the turns in them.
PIECE, LINES = 22.4, 6
#: What the plain words of the vendor's sample are heard as, and what they are.
MISHEARD = "What is not trolling process."
SPOKEN = "What is natural language processing."

OFFLINE = RivaModel("parakeet-0.6b-en-US-asr-offline-asr-bls-ensemble", False, ("en-US",))
STREAMING = RivaModel("parakeet-0.6b-en-US-asr-streaming-asr-bls-ensemble", True, ("en-US",))
MANY = RivaModel("parakeet-1.1b-unified-multi-asr-offline-ensemble", False, ("multi",))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as ours:
        yield ours


@pytest.fixture
def engine(server: Server, monkeypatch: pytest.MonkeyPatch) -> Riva:
    return made(monkeypatch, RIVA_URI=server.uri)


def made(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Riva:
    """An engine with these settings."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    return Riva()


@pytest.fixture(scope="session")
def pcm() -> bytes:
    """The sample conversation."""
    with av.open(str(SAMPLES / "conversation.flac")) as file:
        return b"".join(
            frame.to_ndarray().astype("<i2").tobytes() for frame in file.decode(audio=0)
        )


@pytest.fixture
def wav(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write samples to a WAV file."""

    def write(samples: bytes) -> Path:
        with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples)
        return tmp_path / "sound.wav"

    return write


@pytest.fixture
def piece(wav, pcm: bytes) -> Path:
    return wav(pcm[: 2 * int(PIECE * RATE)])


@pytest.fixture
def moment(wav) -> Path:
    """A tenth of a second of silence, which is heard at once."""
    return wav(bytes(RATE // 5))


def text(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)


class TestWords:
    """What it hears."""

    def test_it_hears_what_is_said_with_times_and_probabilities(self, engine, piece):
        heard = engine.transcribe(piece, Hints(language="en"))
        said = " ".join((SAMPLES / "conversation.txt").read_text().splitlines()[:LINES])
        plain = text(heard.words).lower().replace(".", "")
        assert jiwer.wer(said, plain) <= 0.2
        assert heard.language == "en-US"
        assert heard.words[0].text == "Good"
        assert heard.words[-1].text.endswith(".")
        times = [time for word in heard.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert 0.5 <= times[0] <= 0.8
        assert times[-1] <= PIECE
        assert all(0 < (word.confidence or 0) <= 1 for word in heard.words)

    def test_nobody_speaks_in_silence(self, engine, moment):
        assert engine.transcribe(moment, Hints()).words == ()

    def test_phrases_change_what_is_heard(self, engine, recordings):
        audio = recordings / "dev" / "what_is_nlp.wav"
        assert text(engine.transcribe(audio, Hints()).words) == MISHEARD
        weak = Hints(phrases={"natural language": 4.0, "processing": 4.0})
        assert text(engine.transcribe(audio, weak).words) == MISHEARD
        strong = Hints(phrases={"natural language": 20.0, "processing": 20.0})
        assert text(engine.transcribe(audio, strong).words) == SPOKEN

    def test_each_phrase_has_its_own_boost(self, engine, server, moment):
        engine.transcribe(moment, Hints(phrases={"a b": 20.0, "c": -5.5, "d": 20.0}))
        assert server.calls[-1]["phrases"] == {"a b": 20.0, "c": -5.5, "d": 20.0}

    def test_speakers_are_not_asked_for_with_the_words(self, engine, server, moment):
        engine.transcribe(moment, Hints())
        assert server.calls[-1]["diarize"] is False

    def test_the_vendors_own_client_is_told_the_same(self, engine, server, piece):
        service = riva.client.ASRService(riva.client.Auth(uri=server.uri))
        config = riva.client.RecognitionConfig(
            language_code="en-US",
            enable_word_time_offsets=True,
            enable_automatic_punctuation=True,
        )
        riva.client.add_audio_file_specs_to_config(config, piece)
        answer = service.offline_recognize(piece.read_bytes(), config)
        theirs = [
            (word.word, word.start_time, word.end_time)
            for result in answer.results
            for word in result.alternatives[0].words
        ]
        ours = engine.transcribe(piece, Hints()).words
        assert [
            (one.text, round(one.start * 1000), round(one.end * 1000)) for one in ours
        ] == theirs
        assert theirs

    def test_the_vendors_streaming_client_is_told_the_same(self, server, monkeypatch, piece):
        """Its script prints a table of words, as here."""
        service = riva.client.ASRService(riva.client.Auth(uri=server.uri))
        config = riva.client.StreamingRecognitionConfig(
            config=riva.client.RecognitionConfig(
                language_code="en-US",
                enable_word_time_offsets=True,
                enable_automatic_punctuation=True,
                verbatim_transcripts=True,
            ),
            interim_results=True,
        )
        printed = io.StringIO()
        with riva.client.AudioChunkFileIterator(piece, 1600) as sound:
            answers = service.streaming_response_generator(sound, config)
            riva.client.print_streaming(
                answers, output_file=printed, additional_info="time", word_time_offsets=True
            )
        lines = [line.split() for line in printed.getvalue().splitlines()]
        theirs = [tuple(line[:3]) for line in lines if len(line) == 4 and line[1].isdecimal()]
        engine = made(monkeypatch, RIVA_URI=server.uri, RIVA_MODEL=STREAMING.name)
        ours = engine.transcribe(piece, Hints()).words
        assert server.calls[-1]["call"] == "StreamingRecognize"
        assert [
            (one.text, str(round(one.start * 1000)), str(round(one.end * 1000))) for one in ours
        ] == theirs
        assert theirs


class TestCalls:
    """Which call it makes, and of what."""

    def test_it_asks_for_the_model_that_the_server_has(self, engine, server, moment):
        engine.transcribe(moment, Hints(language="en"))
        call = server.calls[-1]
        assert (call["call"], call["model"], call["language"]) == (
            "Recognize", OFFLINE.name, "en-US",
        )  # fmt: skip

    def test_a_model_that_only_streams_is_streamed_to(self, engine, monkeypatch, piece):
        words = engine.transcribe(piece, Hints()).words
        with running("--mode", "streaming") as server:
            streaming = made(monkeypatch, RIVA_URI=server.uri)
            assert text(streaming.transcribe(piece, Hints()).words) == text(words)
            assert [call["call"] for call in server.calls] == ["StreamingRecognize"]

    def test_what_is_too_large_for_a_message_is_streamed(self, monkeypatch, piece):
        with running("--max-message", "100000") as server:
            heard = made(monkeypatch, RIVA_URI=server.uri).transcribe(piece, Hints())
            assert heard.words
            assert [call["call"] for call in server.calls] == ["StreamingRecognize"]

    def test_an_answer_that_is_too_large_is_streamed(self, engine, server, moment):
        server.meets("large:70")
        assert engine.transcribe(moment, Hints()).words == ()
        assert [call["call"] for call in server.calls[-2:]] == ["Recognize", "StreamingRecognize"]

    def test_without_a_model_for_streams_it_says_what_to_do(self, monkeypatch, piece):
        with running("--max-message", "100000", "--mode", "offline") as server:
            engine = made(monkeypatch, RIVA_URI=server.uri)
            with pytest.raises(EngineError, match="CHUNK_DURATION"):
                engine.transcribe(piece, Hints())

    def test_the_job_may_choose_the_model(self, engine, server, moment):
        engine.transcribe(moment, Hints(model=STREAMING.name))
        assert server.calls[-1]["model"] == STREAMING.name

    def test_a_language_that_no_model_has_is_refused_with_those_there_are(self, engine, moment):
        with pytest.raises(EngineError, match="does not support 'fr-FR'; available: en-US"):
            engine.transcribe(moment, Hints(language="fr-FR"))

    def test_a_child_of_a_process_with_a_line_opens_its_own(self, server, moment):
        program = f"""
import os
from pathlib import Path
from engines.base import Hints
from engines.riva import Riva
engine = Riva()
engine._client._stub
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        try:
            os._exit(len(engine.transcribe(Path({str(moment)!r}), Hints()).words))
        except BaseException:
            os._exit(9)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RIVA_URI": server.uri},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == "[0, 0, 0]"


class TestFailures:
    """What each ending of a call becomes."""

    @pytest.mark.parametrize(
        ("event", "kind", "sentence"),
        [
            ("UNAVAILABLE:Socket closed", Unavailable, "does not answer"),
            ("UNAVAILABLE:10.1.2.3: GOAWAY received", Unavailable, "does not answer"),
            ("UNAVAILABLE:errors resolving riva:50051: lookup error", Unavailable, "not answer"),
            ("UNAVAILABLE:ping timeout", Unavailable, "does not answer"),
            ("UNAVAILABLE:CERTIFICATE_VERIFY_FAILED: x", EngineError, "certificate is wrong"),
            ("UNAVAILABLE:Hostname Verification Check failed", EngineError, "certificate is wrong"),
            ("UNAVAILABLE:Failed parsing HTTP/2", EngineError, "RIVA_URI"),
            ("RESOURCE_EXHAUSTED:Concurrent RPC limit exceeded!", Unavailable, "is overloaded"),
            ("DEADLINE_EXCEEDED:late", Transient, "did not answer in time"),
            (
                "INVALID_ARGUMENT:Error: Unavailable model requested",
                EngineError,
                "Unavailable model",
            ),
            ("INVALID_ARGUMENT:could not detect encoding", EngineError, "could not detect"),
            ("INVALID_ARGUMENT:CUDA illegal memory access", Transient, "internal error"),
            ("INVALID_ARGUMENT:must specify the START flag", Transient, "internal error"),
            ("INTERNAL:Invalid metadata", EngineError, "RIVA_API_KEY"),
            ("INTERNAL:inference went wrong", Transient, "INTERNAL"),
            ("ABORTED:x", Transient, "ABORTED"),
            ("UNKNOWN:Stream removed", Transient, "UNKNOWN"),
            ("DATA_LOSS:x", Transient, "DATA_LOSS"),
            ("CANCELLED:the server ends", Transient, "CANCELLED"),
            ("UNAUTHENTICATED:no", EngineError, "RIVA_API_KEY"),
            ("PERMISSION_DENIED:no", EngineError, "RIVA_API_KEY"),
            ("NOT_FOUND:no", EngineError, "RIVA_FUNCTION_ID"),
            ("UNIMPLEMENTED:no", EngineError, "RIVA_URI"),
            ("FAILED_PRECONDITION:no", EngineError, "FAILED_PRECONDITION"),
            ("OUT_OF_RANGE:no", EngineError, "OUT_OF_RANGE"),
        ],
    )
    def test_a_status_is_to_wait_to_try_again_or_to_give_up(
        self, engine, server, moment, event, kind, sentence
    ):
        server.meets(event)
        with pytest.raises((EngineError, Transient)) as caught:
            engine.transcribe(moment, Hints())
        assert caught.type is kind
        assert sentence in str(caught.value)
        assert "10.1.2.3" not in str(caught.value)
        assert engine.transcribe(moment, Hints()).words == (), "the next call meets nothing"

    def test_a_server_that_is_too_slow_is_not_waited_for(self, server, monkeypatch, moment):
        engine = made(monkeypatch, RIVA_URI=server.uri, RIVA_TIMEOUT="0.5")
        server.meets("slow:600")
        with pytest.raises(Transient, match="in time"):
            engine.transcribe(moment, Hints())

    def test_a_call_ends_before_the_worker_would_be_replaced(self, server, monkeypatch, moment):
        engine = made(monkeypatch, RIVA_URI=server.uri, RIVA_TIMEOUT="900", CHUNK_TIME_LIMIT="60")
        engine.transcribe(moment, Hints())
        assert server.calls[-1]["deadline"] < 60

    def test_more_calls_than_the_server_takes_are_for_later(self, monkeypatch, moment):
        with running("--at-once", "1") as server:
            engine = made(monkeypatch, RIVA_URI=server.uri)
            engine.transcribe(moment, Hints())
            server.meets("slow:600")
            future = RivaClient(settings())._stub.Recognize.future(pb.RecognizeRequest())
            wait_until(lambda: len(server.calls) == 2)
            with pytest.raises(Unavailable, match="is overloaded"):
                engine.transcribe(moment, Hints())
            future.cancel()

    def test_a_server_that_died_is_found_again(self, monkeypatch, moment):
        with running() as first:
            engine = made(monkeypatch, RIVA_URI=first.uri)
            first.meets("die")
            with pytest.raises(Unavailable):
                engine.transcribe(moment, Hints())
            with pytest.raises(Unavailable):
                engine.transcribe(moment, Hints())
        with running(port=first.port):
            wait_until(lambda: _answers(engine, moment))

    def test_nobody_at_the_address_is_an_outage(self, monkeypatch, moment):
        with pytest.raises(Unavailable):
            made(monkeypatch, RIVA_URI="localhost:9").transcribe(moment, Hints())
        with pytest.raises(Unavailable):
            catalog.query_capabilities(catalog.RIVA)


def _answers(engine: Riva, audio: Path) -> bool:
    try:
        return engine.transcribe(audio, Hints()).words == ()
    except Unavailable:
        return False


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, signed by itself, and one of somebody else."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make certificates")
    folder = tmp_path_factory.mktemp("pem")
    for name in ("ours", "theirs"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def hosted(pem: Path) -> Iterator[Server]:
    with running(
        "--tls", str(pem / "ours.key"), str(pem / "ours.pem"),
        "--key", "secret", "--function-id", "f-1",
    ) as server:  # fmt: skip
        yield server


class TestSecrecy:
    """TLS, and what hosted servers want to know."""

    @pytest.fixture
    def variables(self, hosted: Server, pem: Path) -> dict[str, str]:
        return {
            "RIVA_URI": hosted.uri,
            "RIVA_USE_SSL": "true",
            "RIVA_SSL_CERT": str(pem / "ours.pem"),
            "RIVA_API_KEY": "secret",
            "RIVA_FUNCTION_ID": "f-1",
        }

    def test_key_and_function_are_sent_once(self, hosted, variables, monkeypatch, moment):
        made(monkeypatch, **variables).transcribe(moment, Hints())
        sent = hosted.calls[-1]["metadata"]
        assert sorted(name for name in sent if name in ("authorization", "function-id")) == [
            "authorization", "function-id",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("RIVA_API_KEY", "wrong", "RIVA_API_KEY"),
            ("RIVA_FUNCTION_ID", "f-2", "RIVA_FUNCTION_ID"),
            ("RIVA_API_KEY", "two\nlines", "cannot be sent"),
        ],
    )
    def test_a_wrong_one_is_named(
        self, variables, monkeypatch, moment, name: str, value: str, sentence: str
    ):
        with pytest.raises(EngineError, match=sentence) as caught:
            made(monkeypatch, **{**variables, name: value}).transcribe(moment, Hints())
        assert value not in str(caught.value)

    @pytest.mark.parametrize("name", ["theirs.pem", "theirs.key", "nothing.pem"])
    def test_a_certificate_that_is_not_the_servers(
        self, variables, monkeypatch, moment, pem: Path, name: str
    ):
        with pytest.raises(EngineError):
            made(monkeypatch, **{**variables, "RIVA_SSL_CERT": str(pem / name)}).transcribe(
                moment, Hints()
            )

    def test_a_server_may_ask_for_ours(self, pem: Path, monkeypatch, moment):
        with running(
            "--tls", str(pem / "ours.key"), str(pem / "ours.pem"),
            "--client-ca", str(pem / "theirs.pem"),
        ) as server:  # fmt: skip
            engine = made(
                monkeypatch,
                RIVA_URI=server.uri,
                RIVA_USE_SSL="true",
                RIVA_SSL_CERT=str(pem / "ours.pem"),
                RIVA_SSL_CLIENT_CERT=str(pem / "theirs.pem"),
                RIVA_SSL_CLIENT_KEY=str(pem / "theirs.key"),
            )
            assert engine.transcribe(moment, Hints()).words == ()


class TestModels:
    """Names of models are not those of their containers."""

    @pytest.mark.parametrize(
        ("models", "wanted", "language", "chosen"),
        [
            ([STREAMING, OFFLINE], "parakeet-0-6b-ctc-en-us", "en-US", [OFFLINE, STREAMING]),
            ([OFFLINE, STREAMING], STREAMING.name, "en", [STREAMING]),
            ([MANY, OFFLINE], "auto", "de-DE", [MANY]),
            ([MANY, OFFLINE], "auto", "en-US", [MANY, OFFLINE]),
            ([STREAMING], "auto", "en-US", [STREAMING]),
        ],
    )
    def test_one_for_whole_recordings_goes_first(self, models, wanted, language, chosen):
        assert choose_models(models, wanted, language) == tuple(chosen)

    def test_an_unknown_name_is_answered_with_those_there_are(self):
        with pytest.raises(EngineError, match=OFFLINE.name):
            choose_models([OFFLINE], "parakeet-1-1b-ctc-es", "en-US")

    @pytest.mark.parametrize(
        ("model", "asked", "tag"),
        [(OFFLINE, "en", "en-US"), (OFFLINE, "en-GB", None), (MANY, "pt-BR", "multi")],
    )
    def test_a_model_is_asked_in_its_own_words(self, model: RivaModel, asked, tag):
        assert model.find_tag(asked) == tag

    def test_the_offer_is_what_a_job_may_ask_for(self, engine):
        offer = catalog.query_capabilities(catalog.RIVA)
        assert offer.models == (OFFLINE.name, STREAMING.name)
        assert offer.languages == ("en-US",)

    def test_there_is_no_offer_for_what_the_server_lacks(self, server, monkeypatch):
        made(monkeypatch, RIVA_URI=server.uri, RIVA_MODEL="whisper-large")
        with pytest.raises(EngineError, match="RIVA_MODEL"):
            catalog.query_capabilities(catalog.RIVA)

    @pytest.mark.parametrize(
        "variables",
        [
            {"RIVA_URI": "http://localhost:50051"},
            {"RIVA_URI": "localhost"},
            {"RIVA_API_KEY": "in the open"},
            {"RIVA_USE_SSL": "true", "RIVA_SSL_CLIENT_KEY": "key.pem"},
        ],
    )
    def test_wrong_settings_are_refused_at_the_start(self, monkeypatch, variables):
        with pytest.raises(SettingsError, match="RIVA_"):
            made(monkeypatch, **variables)


def word(text: str, start: int, end: int, score: float = 0.0, tag: int = 0) -> pb.WordInfo:
    return pb.WordInfo(word=text, start_time=start, end_time=end, confidence=score, speaker_tag=tag)


def result(*words: pb.WordInfo, **more: object) -> pb.SpeechRecognitionResult:
    said = {"transcript": " ".join(one.word for one in words) + " ", **more}
    return pb.SpeechRecognitionResult(alternatives=[{"words": words, **said}])


class TestAnswers:
    """Servers differ in what they tell."""

    def test_results_follow_each_other(self):
        found = responses.build_transcription(
            [result(word("a", 0, 500)), result(word("b", 900, 990))], "en-US", 1
        )
        assert found.words == (Word("a", 0.0, 0.5), Word("b", 0.9, 0.99))

    @pytest.mark.parametrize("empty", [pb.SpeechRecognitionResult(), result()])
    def test_an_empty_result_is_nothing(self, empty):
        assert responses.build_transcription([empty], "en-US", 1).words == ()

    def test_no_word_lies_outside_the_sound(self):
        found = responses.build_transcription(
            [result(word("a", -20, 500), word("b", 900, 700))], "en-US", 0.8
        )
        assert found.words == (Word("a", 0.0, 0.5), Word("b", 0.8, 0.8))

    def test_full_stops_of_the_transcript_belong_to_the_words(self):
        punctuated = result(word("hello", 0, 1), word("you", 1, 2), transcript="Hello, you? ")
        assert text(responses.build_transcription([punctuated], "en-US", 1).words) == "Hello, you?"

    def test_where_numbers_became_digits_the_words_hold(self):
        shorter = result(word("twenty", 0, 1), word("one", 1, 2), transcript="21")
        assert text(responses.build_transcription([shorter], "en-US", 1).words) == "twenty one"

    def test_models_without_times_share_out_the_time(self):
        told = result(transcript="three words here")
        told.audio_processed = 3.0
        found = responses.build_transcription([result(word("so", 0, 1500)), told], "en-US", 9).words
        assert [(one.start, one.end) for one in found[1:]] == [(1.5, 2.0), (2.0, 2.5), (2.5, 3.0)]

    @pytest.mark.parametrize(
        ("scores", "probabilities"),
        [
            ((0.0, 0.0), (None, None)),
            ((0.5, 1.0), (0.5, 1.0)),
            ((-0.6931472, 0.55), (0.5, 1.0)),
        ],
    )
    def test_scores_become_probabilities(self, scores, probabilities):
        words = [word("a", 0, 1, score) for score in scores]
        found = responses.build_transcription([result(*words)], "en-US", 1).words
        assert [one.confidence for one in found] == [
            value if value is None else pytest.approx(value) for value in probabilities
        ]

    @pytest.mark.parametrize(
        ("told", "asked", "language"),
        [(["de-DE"], "multi", "de-DE"), (["multi"], "multi", None), ([], "en-US", "en-US")],
    )
    def test_the_language_is_the_one_that_was_heard(self, told, asked, language):
        found = responses.build_transcription(
            [result(word("a", 0, 1), language_code=told)], asked, 1
        )
        assert found.language == language

    @pytest.mark.parametrize(
        ("first", "turns"),
        [
            (1, (Turn(0.0, 1.0, 0), Turn(2.5, 3.0, 0))),
            (0, (Turn(0.0, 1.0, 1), Turn(1.0, 1.4, 0), Turn(2.5, 3.0, 1))),
        ],
    )
    def test_words_of_one_speaker_are_a_turn(self, first: int, turns):
        tagged = [
            word("a", 0, 400, tag=1), word("b", 500, 1000, tag=1),
            word("c", 1000, 1400, tag=0), word("d", 2500, 3000, tag=1),
        ]  # fmt: skip
        assert responses.build_turns(responses.collect_words([result(*tagged)], 9), first) == turns

    def test_a_stream_that_is_never_final_is_read_all_the_same(self, monkeypatch):
        line = RivaClient(Settings())
        drafts = [
            pb.StreamingRecognizeResponse(results=[{"alternatives": [{"transcript": said}]}])
            for said in ("hello", "hello there")
        ]
        stub = SimpleNamespace(StreamingRecognize=lambda *_, **__: iter(drafts))
        monkeypatch.setattr(line, "_connection", (os.getpid(), stub))
        results = line.stream(pb.RecognitionConfig(), [], 1)
        assert [one.alternatives[0].transcript for one in results] == ["hello there"]


class TestSpeakers:
    """The server's own diarizer."""

    @pytest.fixture
    def diarizer(self, server: Server, monkeypatch: pytest.MonkeyPatch):
        made(monkeypatch, RIVA_URI=server.uri)
        return catalog.load_diarizer(catalog.RIVA_SPEAKERS)

    def test_it_tells_who_speaks_when(self, diarizer, server, piece):
        voices = diarizer.diarize(piece, SpeakerHints(max_speakers=2))
        call = server.calls[-1]
        assert (call["call"], call["diarize"], call["speakers"]) == (
            "StreamingRecognize", True, 2,
        )  # fmt: skip
        reference = [
            (name, float(start), min(PIECE, float(start) + float(length)))
            for _, _, _, start, length, _, _, name, *_ in map(
                str.split, (SAMPLES / "conversation.rttm").read_text().splitlines()
            )
            if float(start) < PIECE
        ]
        found = [(str(turn.speaker), turn.start, turn.end) for turn in voices.turns]
        assert simpleder.DER(reference, found) <= 0.05

    def test_a_server_that_tells_no_speakers_is_not_taken_at_its_word(
        self, diarizer, monkeypatch, piece
    ):
        monkeypatch.setattr(
            diarizer,
            "_recognize",
            lambda *_: [result(word("a", 0, 900)), result(word("b", 900, 999))],
        )
        with pytest.raises(EngineError, match="diarizer=sortformer"):
            diarizer.diarize(piece, SpeakerHints())

    def test_silence_has_no_speakers(self, diarizer, moment):
        assert diarizer.diarize(moment, SpeakerHints()).turns == ()
