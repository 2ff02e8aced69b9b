// The words of a transcript: each knows its time, and is lit while it is spoken.

import { $, h, letGo, timeButton } from "./dom.js";
import * as speakers from "./speakers.js";
import { clock, label, say } from "./words.js";

const list = $("transcript");
/** All words of all segments in their order: `start`, `end` and the `span` that shows them. */
let words = [];
/** Each with its `line`, the `text` in it, and the place of its words: those from `from` up to `to`. */
let segments = [];
let lit = null;
let whenEdited = () => {};

/** `edit` is called with the place of a segment whose text is to be changed. */
export function set(seek, edit) {
  whenEdited = edit;
  list.addEventListener("click", (event) => {
    const at = event.target.closest("[data-at]");
    // Whoever marks words to copy them wants to hear nothing.
    if (!at || !getSelection().isCollapsed) return;
    seek(Number(at.dataset.at), { play: true });
    letGo(event);
  });
}

export function clear() {
  [words, segments, lit] = [[], [], null];
  list.replaceChildren();
}

export function show(result) {
  clear();
  const whole = document.createDocumentFragment();
  for (const segment of result.segments) whole.append(line(segment));
  if (!segments.length) whole.append(say(h("li", { "data-speaker": "none" }), "done.empty"));
  list.append(whole);
}

export function nameSpeakers() {
  for (const who of list.querySelectorAll(".who")) who.textContent = speakers.name(Number(who.dataset.tag));
}

function line(segment) {
  const at = timeButton(segment.start, { className: "at quiet" });
  at.dataset.at = segment.start;
  const position = segments.length;
  const made = h("li", { "data-position": position }, at);
  const pen = h("button", { type: "button", className: "edit quiet", onclick: () => whenEdited(position) }, "✎");
  const [text, found] = said(segment);
  made.append(text, label(pen, "edit.open", { time: clock(segment.start) }));
  segments.push({ start: segment.start, segment, line: made, text, from: words.length, to: words.length + found.length });
  words.push(...found);
  introduce(position);
  return made;
}

/** Gives a line the colour of who speaks, and his name where he begins. */
function introduce(position) {
  const { line, segment } = segments[position];
  const tag = segment.speaker_tag;
  const isNew = tag !== null && tag !== segments[position - 1]?.segment.speaker_tag;
  line.dataset.speaker = speakers.colourOf(tag);
  line.classList.toggle("new-speaker", isNew);
  line.querySelector(".who")?.remove();
  if (isNew) line.firstElementChild.after(h("strong", { className: "who", "data-tag": tag }, speakers.name(tag)));
}

/** The text of a segment as an element, and the words in it. */
function said(segment) {
  const text = h("p");
  const found = spans(segment, text);
  if (!segment.text) text.append(say(h("em", { className: "hint" }), "edit.nothing"));
  if (segment.edited) text.append(" ", say(h("small", { className: "edited" }), "edit.edited"));
  return [text, found];
}

/** Shows a segment that was changed in the place of what it was. */
export function replace(position, segment) {
  const entry = segments[position];
  const [text, found] = said(segment);
  entry.text.replaceWith(text);
  words.splice(entry.from, entry.to - entry.from, ...found);
  const more = found.length - (entry.to - entry.from);
  Object.assign(entry, { segment, text, to: entry.to + more });
  introduce(position);
  if (segments[position + 1]) introduce(position + 1);
  for (const later of segments.slice(position + 1)) {
    later.from += more;
    later.to += more;
  }
}

export const entry = (position) => segments[position];
export const timeOf = (position) => clock(segments[position].start);
/** The place of the segment that is played at a time. */
export const playing = (time) => Math.max(0, last(segments, time + 0.01));

/** Each word in a span; what stands between them is as in the segment's text, if it is that text. */
function spans({ text, words: given, start }, into) {
  const found = [];
  let done = 0;
  for (const [number, word] of given.entries()) {
    const place = text.indexOf(word.word, done);
    const between = place < 0 ? (number ? " " : "") : text.slice(done, place);
    if (place >= 0) done = place + word.word.length;
    const span = h("span", { "data-at": word.start }, word.word);
    into.append(between, span);
    found.push({ start: word.start, end: word.end, span, text: word.word });
  }
  if (!given.length && text) into.append(h("span", { "data-at": start }, text));
  return found;
}

export const all = () => ({ words, segments });

/** The last entry that has begun at a time; -1 before the first. */
function last(entries, time) {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Lights the word that is spoken at a time. */
export function at(time) {
  const word = words[last(words, time + 0.01)];
  const spoken = word && time < word.end + 0.3 ? word.span : null;
  if (spoken === lit) return;
  lit?.classList.remove("lit");
  const before = lit?.closest("li");
  lit = spoken;
  lit?.classList.add("lit");
  const now = lit?.closest("li");
  if (now && now !== before) {
    list.querySelector(".spoken")?.classList.remove("spoken");
    now.classList.add("spoken");
    // Whoever goes through the warnings stays there.
    const isElsewhere = list.querySelector(".editor") || $("job-warnings").contains(document.activeElement);
    const isRead = $("along").checked && !isElsewhere;
    if (isRead && !$("media").paused) reveal(now);
  }
}

export function reveal(element) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "center", behavior: still ? "auto" : "smooth" });
}

/** When the segment begins that is so many after the one of a time. */
export function beside(time, step) {
  const here = playing(time);
  // Well inside a segment, one step back is its own beginning.
  const own = step < 0 && time - (segments[here]?.start ?? 0) > 2;
  return segments[Math.min(Math.max(0, here + (own ? 0 : step)), segments.length - 1)]?.start;
}
