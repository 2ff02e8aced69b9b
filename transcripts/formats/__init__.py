"""Output formats of a transcript: JSON and Word documents, subtitles, plain text and tables."""

from transcripts.formats.cues import Layout
from transcripts.formats.document_docx import docx
from transcripts.formats.documents import final_transcription, segments_json
from transcripts.formats.plain import txt
from transcripts.formats.subrip import srt
from transcripts.formats.tables import rttm, tsv
from transcripts.formats.webvtt import vtt

__all__ = [
    "Layout",
    "docx",
    "final_transcription",
    "rttm",
    "segments_json",
    "srt",
    "tsv",
    "txt",
    "vtt",
]
