// Who speaks when, as coloured bars, a row for each speaker. Drawn from the segments alone: to
// decode two hours of sound for a waveform is more than a tab should do.

import { $ } from "./dom.js";
import { colour } from "./speakers.js";

const ROW = 8;
const MOST_ROWS = 8;

const canvas = $("timeline");
let segments = [];
let rows = [];
let duration = 0;
let now = 0;

export function set(seek) {
  canvas.addEventListener("click", (event) => {
    const { left, width } = canvas.getBoundingClientRect();
    seek(((event.clientX - left) / width) * duration);
  });
  new ResizeObserver(draw).observe(canvas);
}

export function show(given, seconds) {
  segments = given;
  duration = Math.max(seconds, given.at(-1)?.end ?? 0);
  rows = [...new Set(given.map((one) => one.speaker_tag))].sort((a, b) => a - b);
  draw();
}

export function at(time) {
  const width = canvas.clientWidth / (duration || 1);
  const moved = Math.floor(time * width) !== Math.floor(now * width);
  now = time;
  if (moved) draw();
}

export function draw() {
  const sharp = devicePixelRatio || 1;
  const count = Math.max(1, Math.min(rows.length, MOST_ROWS));
  const [width, height] = [canvas.clientWidth, count * ROW + 8];
  if (!width || !duration) return;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  for (const segment of segments) {
    const row = rows.indexOf(segment.speaker_tag) % MOST_ROWS;
    pen.fillStyle = colour(segment.speaker_tag);
    const [from, to] = [segment.start, segment.end].map((second) => (second / duration) * width);
    pen.fillRect(from, 4 + row * ROW, Math.max(1, to - from), ROW - 2);
  }
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.fillRect((now / duration) * width - 1, 0, 2, height);
}
