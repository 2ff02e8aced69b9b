// The recording as a line: how loud it is and who speaks, or without that only who speaks, a row for
// each speaker. It is a slider: pressed, dragged or moved by keys, it says where to go on.

import { $ } from "./dom.js";
import { colour } from "./speakers.js";
import * as waveform from "./waveform.js";
import { clock } from "./words.js";

const ROW = 8;
const MOST_ROWS = 8;
/** Seconds that a key moves it. */
const KEYS = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, PageDown: -60, PageUp: 60, Home: -Infinity, End: Infinity };

const canvas = $("timeline");
let segments = [];
let rows = [];
let duration = 0;
let now = 0;

export function set(seek) {
  const go = (event) => {
    const { left, width } = canvas.getBoundingClientRect();
    seek(within((event.clientX - left) / width) * duration);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    go(event);
  });
  canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && go(event));
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    seek(within((now + KEYS[event.key]) / duration) * duration);
  });
  new ResizeObserver(draw).observe(canvas);
}

const within = (share) => Math.min(1, Math.max(0, share));

/** `heard`: what the service has as waveform.json; null for a job from before there was one. */
export function show(given, seconds, heard) {
  segments = given;
  duration = Math.max(seconds, given.at(-1)?.end ?? 0);
  rows = [...new Set(given.map((one) => one.speaker_tag))].sort((a, b) => a - b);
  waveform.show(heard, segments, duration);
  canvas.setAttribute("aria-valuemax", Math.round(duration));
  tell();
  draw();
}

export function at(time) {
  const width = canvas.clientWidth / (duration || 1);
  const moved = Math.floor(time * width) !== Math.floor(now * width);
  const isTold = Math.floor(time) === Math.floor(now);
  now = time;
  if (!isTold) tell();
  if (moved) draw();
}

function tell() {
  canvas.setAttribute("aria-valuenow", Math.floor(now));
  canvas.setAttribute("aria-valuetext", `${clock(now)} / ${clock(duration)}`);
}

export function draw() {
  const sharp = devicePixelRatio || 1;
  const count = Math.max(1, Math.min(rows.length, MOST_ROWS));
  const [width, height] = [canvas.clientWidth, waveform.isThere() ? waveform.HEIGHT : count * ROW + 8];
  if (!width || !duration) return;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  const played = (now / duration) * width;
  if (waveform.isThere()) waveform.draw(pen, width, played);
  else drawRows(pen, width);
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.fillRect(played - 1, 0, 2, height);
}

function drawRows(pen, width) {
  for (const segment of segments) {
    const row = rows.indexOf(segment.speaker_tag) % MOST_ROWS;
    pen.fillStyle = colour(segment.speaker_tag);
    const [from, to] = [segment.start, segment.end].map((second) => (second / duration) * width);
    pen.fillRect(from, 4 + row * ROW, Math.max(1, to - from), ROW - 2);
  }
}
