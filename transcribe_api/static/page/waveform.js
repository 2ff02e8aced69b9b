// How loud the recording is from moment to moment, in the colour of whoever speaks, and paler where
// it was not played yet. The service measures it; to decode hours of sound is more than a tab should do.

import { colour } from "./speakers.js";

export const HEIGHT = 56;
const BAR = 3;
const GAP = 1;
/** A quiet recording is drawn as if its loudest moment were full scale, up to so many times louder. */
const MOST_GAIN = 10;
const UNPLAYED = 0.45;

let heard = null;
let segments = [];
let duration = 0;
let gain = 1;
/** Bars for a width: how high each is, 0 to 1, and the number of who speaks; null for nobody. */
let bars = { width: 0, heights: [], tags: [] };

export const isThere = () => heard !== null;

export function show(given, spoken, seconds) {
  heard = given?.values.length ? given : null;
  segments = spoken;
  duration = seconds;
  bars = { width: 0, heights: [], tags: [] };
  const loudest = heard ? heard.values.reduce((a, b) => Math.max(a, b), 1) : 100;
  gain = Math.min(100 / loudest, MOST_GAIN);
}

export function draw(pen, width, played) {
  if (bars.width !== width) bars = made(width);
  const colours = new Map();
  for (const [number, high] of bars.heights.entries()) {
    const [left, tag] = [number * (BAR + GAP), bars.tags[number]];
    if (!colours.has(tag)) colours.set(tag, colour(tag));
    pen.fillStyle = colours.get(tag);
    pen.globalAlpha = left < played ? 1 : UNPLAYED;
    const tall = Math.max(2, high * (HEIGHT - 4));
    pen.fillRect(left, (HEIGHT - tall) / 2, BAR, tall);
  }
  pen.globalAlpha = 1;
}

function made(width) {
  const count = Math.max(1, Math.floor(width / (BAR + GAP)));
  const [heights, tags] = [[], []];
  let at = 0;
  for (let number = 0; number < count; number++) {
    const [from, to] = [number, number + 1].map((one) => (one * (BAR + GAP) * duration) / width);
    heights.push(loudest(from, to));
    while (at < segments.length - 1 && segments[at].end <= from) at++;
    const speaks = segments[at] && segments[at].start < to && segments[at].end > from;
    tags.push(speaks ? segments[at].speaker_tag : null);
  }
  return { width, heights, tags };
}

function loudest(from, to) {
  const { values, seconds_per_value: each } = heard;
  const first = Math.floor(from / each);
  const part = values.slice(first, Math.max(first + 1, Math.ceil(to / each)));
  return Math.min(1, (Math.max(0, ...part) * gain) / 100);
}
