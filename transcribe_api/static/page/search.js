// Finds words in the transcript, whatever their case and accents.

import { $ } from "./dom.js";
import * as transcript from "./transcript.js";
import { say } from "./words.js";

let hits = [];
let now = -1;
let timer = 0;

export function set() {
  $("sought").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 150);
  });
  $("sought").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.shiftKey) return;
    event.preventDefault();
    step(-1);
  });
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    step(1);
  });
  $("before").addEventListener("click", () => step(-1));
}

export function clear() {
  $("sought").value = "";
  look();
}

const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function look() {
  const wanted = mark();
  now = -1;
  if (hits.length) step(1);
  else tell(wanted);
}

/** The words are others: finds again, and stays where it was. */
export function refresh() {
  const wanted = mark();
  now = Math.min(now, hits.length - 1);
  for (const span of hits[now] ?? []) span.classList.add("hit-now");
  tell(wanted);
}

/** Marks all places of what is sought; returns it. */
function mark() {
  for (const span of hits.flat()) span.classList.remove("hit", "hit-now");
  const wanted = folded($("sought").value).trim().replace(/\s+/g, " ");
  const { words, segments } = transcript.all();
  hits = wanted ? segments.flatMap(({ from, to }) => found(words.slice(from, to), wanted)) : [];
  for (const span of hits.flat()) span.classList.add("hit");
  return wanted;
}

/** The places of a segment where the text stands, each as the words that it touches. */
function found(words, wanted) {
  const places = [];
  let text = "";
  for (const word of words) {
    places.push(text.length);
    text += `${folded(word.text)} `;
  }
  const all = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    const end = at + wanted.length;
    const touched = words.filter((_, n) => places[n] < end && (places[n + 1] ?? text.length) - 1 > at);
    all.push(touched.map((word) => word.span));
  }
  return all;
}

function step(by) {
  if (!hits.length) return;
  for (const span of hits[now] ?? []) span.classList.remove("hit-now");
  now = (Math.max(now, by > 0 ? -1 : 0) + by + hits.length) % hits.length;
  for (const span of hits[now]) span.classList.add("hit-now");
  if (hits[now].length) transcript.reveal(hits[now][0]);
  tell($("sought").value);
}

function tell(wanted) {
  if (!wanted) {
    $("found").textContent = "";
    delete $("found").dataset.t;
  } else if (hits.length) say($("found"), "search.found", { at: now + 1, of: hits.length });
  else say($("found"), "search.nothing");
}
