// What is not as it should be with a transcript: a line each, many of one kind in one that opens.

import { $, h, show as visible, timeButton } from "./dom.js";
import { seek } from "./player.js";
import { clock, say } from "./words.js";

/** Of one kind, so many have a line each. */
const MOST_LINES = 3;
/** What is said of many places at once; of other kinds the first sentence stands for all. */
const OF_MANY = [
  "chunk_failed", "speakers_failed", "speech_without_words", "words_left_out", "words_doubtful", "sound_missing", "edit_removed",
];

export function show(warnings) {
  const kinds = [...new Set(warnings.map((one) => one.code))];
  const byKind = kinds.map((kind) => warnings.filter((one) => one.code === kind));
  $("job-warnings").replaceChildren(...byKind.flatMap(lines));
  visible($("job-warnings"), warnings.length > 0);
}

function lines(same) {
  const places = same.filter((one) => one.start !== null);
  if (places.length <= MOST_LINES) return same.map(line);
  return [folded(same, places.length)];
}

function line(warning) {
  return h("li", { className: warning.severity }, ...place(warning), " ", h("span", {}, warning.sentence));
}

function folded(same, n) {
  const { code, severity, sentence } = same[0];
  const what = h("span", {}, sentence);
  if (OF_MANY.includes(code)) say(what, `warnings.${code}`);
  const count = say(h("span", { className: "hint" }), "warnings.places", { n });
  const opens = h("summary", {}, what, " ", count);
  // What is said of all need not be said of each.
  const isAlike = same.every((one) => one.sentence === sentence);
  const each = isAlike ? same.map((one) => h("li", {}, ...place(one))) : same.map(line);
  const all = h("ul", { className: isAlike ? "places" : "" }, ...each);
  return h("li", { className: severity }, h("details", {}, opens, all));
}

/** A button that plays the recording from there, as soon as there is a player; and where it ends. */
function place({ start, end }) {
  if (start === null) return [];
  const onclick = (event) => {
    seek(start, { play: true });
    if (event.detail > 0) $("job-warnings").focus({ preventScroll: true }); // Space is the player's
  };
  const until = clock(end) === clock(start) ? null : h("span", { className: "hint" }, `–${clock(end)}`);
  return [timeButton(start, { className: "time", onclick }), until];
}
