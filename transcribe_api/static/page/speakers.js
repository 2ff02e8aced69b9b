// The speakers of a transcript: their colours, their names, which can be changed, and a choice of them.

import { said } from "./actions.js";
import { ask } from "./api.js";
import { $, announce, complain, h } from "./dom.js";
import { label, say, t } from "./words.js";

/** Colours that a style sheet has, `--speaker-0` and so on. */
const COLOURS = 8;

let transcriptId = "";
let names = {};
let roles = {};
let tags = [];
let whenNamed = () => {};

/** `named` is called when a speaker has got another name. */
export function set(named) {
  whenNamed = named;
}

export function show(result) {
  transcriptId = result.transcript_id;
  names = result.speaker_names;
  roles = result.speaker_roles;
  tags = [];
  count(result.segments);
}

/** Lists whoever says something; drawn anew only when that is somebody else. */
export function count(segments) {
  const found = new Set(segments.map((one) => one.speaker_tag));
  const now = [...found].filter((tag) => tag !== null).sort((a, b) => a - b);
  if (`${now}` === `${tags}` && now.length) return;
  tags = now;
  draw();
}

/** What the service writes in its formats when there is no name. */
export function name(tag) {
  return names[tag] || `SPEAKER_${String(tag).padStart(2, "0")}`;
}

/** The same, also of nobody in particular. */
export const called = (tag) => (tag === null ? t("speakers.unknown") : name(tag));

/** All speakers to choose from, with somebody new and nobody in particular. */
export function chooser(tag) {
  const option = (value, text) => h("option", { value: `${value}`, selected: value === tag }, text);
  const next = Math.max(-1, ...tags) + 1;
  return h("select", {}, ...tags.map((one) => option(one, name(one))),
    say(option(next), "speakers.new"), say(option(null), "speakers.unknown"));
}

export const chosen = (select) => (select.value === "null" ? null : Number(select.value));

/** Somebody else may have chosen a speaker who was not there when the choice was made. */
export function choose(select, tag) {
  if (![...select.options].some((one) => one.value === `${tag}`)) select.prepend(h("option", { value: `${tag}` }, name(tag)));
  select.value = `${tag}`;
}

/** The number of a speaker's colour; of nobody's, that of quiet text. */
export function colourOf(tag) {
  return tag === null ? "none" : tag % COLOURS;
}

export function colour(tag) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--speaker-${colourOf(tag)}`);
}

function draw() {
  $("speakers").replaceChildren(...tags.map((tag) => h("li", {}, shown(tag))));
}

function shown(tag) {
  const button = h("button", { type: "button", className: "quiet", onclick: () => rename(button, tag) },
    h("span", { className: "dot", "data-speaker": colourOf(tag) }), h("span", {}, name(tag)),
    roles[tag] ? h("small", {}, roles[tag]) : null, h("span", { className: "pen", "aria-hidden": "true" }, "✎"));
  return label(button, "speakers.rename", { name: name(tag) });
}

function rename(button, tag) {
  const input = h("input", { type: "text", value: names[tag] ?? "", placeholder: name(tag), maxLength: 100, size: 16 });
  label(input, "speakers.name_of", { name: name(tag) });
  let isOver = false;
  const end = async (keep, byKey = true) => {
    if (isOver) return;
    isOver = true;
    const isNew = input.value.trim() !== (names[tag] ?? "");
    if (keep && isNew) await give(tag, input.value.trim());
    const again = shown(tag);
    input.replaceWith(again);
    if (byKey) again.focus();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter");
  });
  input.addEventListener("blur", () => end(true, false));
  button.replaceWith(input);
  input.select();
  input.focus();
}

async function give(tag, given) {
  complain("");
  try {
    const json = { names: { [tag]: given || null } };
    await ask(`transcripts/${transcriptId}/speakers`, { method: "PATCH", json });
    names = { ...names, [tag]: given };
    announce(t("speakers.named", { name: name(tag) }));
    whenNamed();
  } catch (error) {
    complain(said(error));
  }
}
