"""Whisper models that are set by hand: each says one text, whatever it is given to hear.

The decoder is a chain: the embedding of a word is one axis, and the output row of the next word is
the same axis. All blocks let through what they are given. The files are those of CTranslate2.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.pre_tokenizers import ByteLevel

#: Words that lead on as well as the right one, so that all hypotheses of a search end together.
SYNONYMS = 10
#: Whisper has an encoder position for each 20 ms of half a minute, and room for so many tokens.
POSITIONS, TOKENS = 1500, 448
#: Scores of the right word and of its synonyms.
CERTAIN, POSSIBLE = 10.0, 3.0

#: Codes of languages in the order of Whisper's own vocabulary do not matter here: any will do.
LANGUAGES = sorted(code for code in _LANGUAGE_CODES if code != "yue")


def build(folder: Path, text: str, language: str = "en", *, multilingual: bool = True) -> Path:
    """Write a model that says *text*, plain words that differ, and detects *language*."""
    words = [f" {word}" for word in text.split()]
    synonyms = [[_synonym(at, which) for which in range(SYNONYMS)] for at in range(len(words))]
    tokenizer = _tokenizer(words, [one for row in synonyms for one in row], multilingual)
    spec = _through(-(-(len(words) + 4) // 8) * 8, tokenizer.get_vocab_size())
    _chain(spec, tokenizer, words, synonyms)
    if multilingual:
        _detect(spec, tokenizer, len(words) + 1, language)
    return _save(spec, tokenizer, folder)


def _synonym(at: int, which: int) -> str:
    # Without digits, which can be suppressed.
    return "<" + "".join(chr(97 + number) for number in (at // 26, at % 26, which)) + ">"


def _tokenizer(words: list[str], others: list[str], multilingual: bool) -> Tokenizer:
    vocabulary = {
        character: number for number, character in enumerate(sorted(ByteLevel.alphabet()))
    }
    merges: list[tuple[str, str]] = []
    for word in words:
        token, *rest = word.replace(" ", "Ġ")
        for letter in rest:
            if token + letter not in vocabulary:
                vocabulary[token + letter] = len(vocabulary)
                merges.append((token, letter))
            token += letter
    # CTranslate2 takes a model with an empty token for one of many languages.
    for token in [*others, *([""] if multilingual else [])]:
        vocabulary.setdefault(token, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = [
        *("endoftext", "startoftranscript", *(LANGUAGES if multilingual else [])),
        *("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"),
        *(f"{number * 0.02:.2f}" for number in range(POSITIONS + 1)),
    ]
    special = [AddedToken(f"<|{name}|>", special=True, normalized=False) for name in names]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _through(size: int, vocabulary: int) -> WhisperSpec:
    """A model of one layer that changes nothing."""
    spec = WhisperSpec(1, 1, 1, 1)
    encoder, decoder = spec.encoder, spec.decoder
    for conv, inputs in ((encoder.conv1, 80), (encoder.conv2, size)):
        conv.weight, conv.bias = _zeros(size, inputs, 3), _zeros(size)
    encoder.position_encodings.encodings = _zeros(POSITIONS, size)
    decoder.position_encodings.encodings = _zeros(TOKENS, size)
    decoder.embeddings.weight, decoder.projection.weight = (_zeros(vocabulary, size) for _ in "ab")
    for half in (encoder, decoder):
        _norm(half.layer_norm, size)
        for layer in half.layer:
            _linear(layer.self_attention, [(3 * size, size), (size, size)], size)
            _linear(layer.ffn, [(8, size), (size, 8)], size)
    for layer in decoder.layer:
        _linear(layer.attention, [(size, size), (2 * size, size), (size, size)], size)
    return spec


def _linear(block: object, shapes: list[tuple[int, int]], size: int) -> None:
    _norm(block.layer_norm, size)  # type: ignore[attr-defined]
    parts = getattr(block, "linear", None) or [block.linear_0, block.linear_1]  # type: ignore[attr-defined]
    for part, shape in zip(parts, shapes, strict=True):
        part.weight, part.bias = _zeros(*shape), _zeros(shape[0])


def _norm(norm: object, size: int) -> None:
    norm.gamma, norm.beta = np.ones(size, np.float32), _zeros(size)  # type: ignore[attr-defined]


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _chain(
    spec: WhisperSpec, tokenizer: Tokenizer, words: list[str], synonyms: list[list[str]]
) -> None:
    inputs, outputs = spec.decoder.embeddings.weight, spec.decoder.projection.weight
    unit = _unit(spec)
    end, begin = (tokenizer.token_to_id(f"<|{name}|>") for name in ("endoftext", "notimestamps"))
    inputs[:, -1] = 1.0  # whatever is not in the chain leads to the end, and nothing else does
    outputs[end, : len(words)] = -CERTAIN * unit
    outputs[end, [len(words), -1]] = CERTAIN * unit
    _lead(inputs, begin, 0)
    for time in range(POSITIONS + 1):  # where times are asked for, one is written first
        _lead(inputs, tokenizer.token_to_id(f"<|{time * 0.02:.2f}|>"), 0)
    for at, (word, others) in enumerate(zip(words, synonyms, strict=True)):
        (token,) = tokenizer.encode(word, add_special_tokens=False).ids
        for name, score in [
            (token, CERTAIN),
            *((tokenizer.token_to_id(o), POSSIBLE) for o in others),
        ]:
            outputs[name, at] = score * unit
            _lead(inputs, name, at + 1)


def _detect(spec: WhisperSpec, tokenizer: Tokenizer, at: int, language: str) -> None:
    start = tokenizer.token_to_id("<|startoftranscript|>")
    _lead(spec.decoder.embeddings.weight, start, at)
    for place, code in enumerate(LANGUAGES):
        score = 4.0 if code == language else -0.01 * place
        token = tokenizer.token_to_id(f"<|{code}|>")
        spec.decoder.projection.weight[token, at] = score * _unit(spec)
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{code}|>") for code in LANGUAGES]


def _lead(inputs: np.ndarray, token: int, axis: int) -> None:
    inputs[token] = 0
    inputs[token, axis] = 1.0


def _unit(spec: WhisperSpec) -> float:
    """One over what layer normalisation makes of a one."""
    return float(1 / np.sqrt(spec.decoder.embeddings.weight.shape[1] - 1))


def _save(spec: WhisperSpec, tokenizer: Tokenizer, folder: Path) -> Path:
    names = sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    spec.register_vocabulary([name for name, _ in names])
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    return folder
