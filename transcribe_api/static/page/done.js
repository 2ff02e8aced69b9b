// A finished transcript: the player above, the words below, and what ties them.

import { ask } from "./api.js";
import { $, show as visible } from "./dom.js";
import * as downloads from "./downloads.js";
import * as edit from "./edit.js";
import * as player from "./player.js";
import * as search from "./search.js";
import * as speakers from "./speakers.js";
import * as timeline from "./timeline.js";
import * as transcript from "./transcript.js";
import { say } from "./words.js";

let result = null;
/** How loud the recording is, as the service measured it. */
let heard = null;

export function set() {
  player.set({ time: follow, gone: freshLink });
  timeline.set(player.seek);
  transcript.set(player.seek, edit.open);
  edit.set(changed);
  speakers.set(() => result && redraw());
  search.set();
  document.addEventListener("themed", () => result && timeline.draw());
}

export function clear() {
  result = null;
  player.clear();
  search.clear();
  transcript.clear();
}

export function show(found) {
  [result, heard] = [found, null];
  listen(found);
  edit.begin(found);
  speakers.show(found);
  transcript.show(found);
  search.clear();
  downloads.show(found);
  redraw();
  player.load(found.audio_url);
  visible($("media-gone"), !found.audio_url);
  if (!found.audio_url) say($("media-gone"), "player.removed");
}

function redraw() {
  timeline.show(result.segments, result.duration ?? 0, heard);
  transcript.nameSpeakers();
}

/** Jobs from before there were waveforms have none. */
async function listen(found) {
  const told = await ask(`jobs/artefacts/${found.job_id}/waveform.json`).catch(() => null);
  if (result !== found || !told) return;
  heard = told;
  redraw();
}

function changed(position, segment) {
  const isOther = result.segments[position].speaker_tag !== segment.speaker_tag;
  result.segments[position] = segment;
  search.refresh();
  if (!isOther) return;
  speakers.count(result.segments);
  redraw();
}

function follow(time) {
  timeline.at(time);
  transcript.at(time);
}

/** Links to recordings work for an hour: the page may be older than that. */
async function freshLink() {
  const { job_id } = result;
  const found = await ask(`jobs/result/${job_id}`);
  return result?.job_id === job_id ? found.audio_url : null;
}
