// Texts and speakers of segments, corrected where they stand: Enter or leaving saves, Escape leaves
// them as they were.

import { said } from "./actions.js";
import { ask } from "./api.js";
import { $, announce, button, complain, h, show } from "./dom.js";
import * as speakers from "./speakers.js";
import * as transcript from "./transcript.js";
import { label, say, t } from "./words.js";

/** Characters that the service takes. */
const LONGEST = 5000;

let shown = null;
let whenChanged = () => {};
let undo = null;
/** How often each segment was replaced, by its position. */
const versions = new Map();

/** `changed` is called with the place and the new form of a segment. */
export function set(changed) {
  whenChanged = changed;
}

export function begin(result) {
  shown = result;
  undo = null;
}

/** Opens the segment that has the focus, or else the one that is played. */
export function here() {
  const line = document.activeElement.closest("#transcript li");
  const position = line ? Number(line.dataset.position) : transcript.playing($("media").currentTime);
  if (!transcript.entry(position)) return;
  transcript.reveal(transcript.entry(position).line);
  open(position);
}

export function open(position) {
  const entry = transcript.entry(position);
  if (!entry.line.querySelector(".editor")) new Editor(position, entry);
  entry.line.querySelector("textarea").focus();
}

/** What can be changed of a segment. */
const FIELDS = ["text", "speaker_tag"];
const part = (segment) => Object.fromEntries(FIELDS.map((name) => [name, segment[name]]));

/** A segment's text and speaker while they are edited. */
class Editor {
  constructor(position, entry) {
    [this.position, this.entry, this.former] = [position, entry, part(entry.segment)];
    this.result = shown;
    this.field = h("textarea", { rows: 1, maxLength: LONGEST, value: this.former.text, enterKeyHint: "done",
      "aria-describedby": "edit-hint", oninput: () => this.fit(), onkeydown: (event) => this.pressed(event) });
    label(this.field, "edit.text_at", { time: transcript.timeOf(position) });
    this.wrong = h("p", { className: "bad-words", role: "alert", hidden: true });
    this.who = speakers.chooser(this.former.speaker_tag);
    label(this.who, "edit.who_at", { time: transcript.timeOf(position) });
    const acts = h("p", { className: "row" }, this.who,
      button("edit.save", () => this.save(), { className: "main-button" }), button("edit.cancel", () => this.close()));
    // Whoever presses a button has not left the text.
    acts.addEventListener("pointerdown", (event) => event.target === this.who || event.preventDefault());
    this.box = h("div", { className: "editor", onfocusout: (event) => this.left(event) }, this.field, this.wrong, acts);
    this.isOver = this.isSaving = false;
    entry.text.replaceWith(this.box);
    this.fit();
  }

  fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }

  pressed(event) {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Enter") this.save();
    else this.close();
  }

  /** What was refused is not tried again unasked. */
  left({ relatedTarget }) {
    if (this.box.contains(relatedTarget) || !document.hasFocus() || !this.wrong.hidden) return;
    this.save({ byKey: false });
  }

  /** What is there now, in the form of `former`. */
  get wanted() {
    return { text: this.field.value.replace(/\s+/g, " ").trim(), speaker_tag: speakers.chosen(this.who) };
  }

  async save({ byKey = true } = {}) {
    if (this.isSaving || this.isOver) return;
    const wanted = this.wanted;
    if (FIELDS.every((name) => wanted[name] === this.former[name])) return void this.close({ byKey });
    this.isSaving = this.field.readOnly = this.who.disabled = true;
    try {
      await change(this.position, wanted, this.former, this.result);
      this.close({ byKey });
      announce(t("edit.saved"));
    } catch (error) {
      this.refused(error);
    }
    this.isSaving = this.field.readOnly = this.who.disabled = false;
  }

  /** What was typed stays; saving again takes the place of what somebody else gave. */
  refused(error) {
    if (error.code === "changed_meanwhile") {
      this.take(part(error));
      theirs(this.position, this.result).catch(() => {});
      say(this.wrong, "edit.changed", { text: error.text, who: speakers.called(error.speaker_tag) });
    } else {
      delete this.wrong.dataset.t;
      this.wrong.textContent = said(error);
    }
    show(this.wrong);
  }

  /** What was not changed here is as others have it now. */
  take(now) {
    const wanted = this.wanted;
    if (wanted.text === this.former.text) this.field.value = now.text;
    if (wanted.speaker_tag === this.former.speaker_tag) speakers.choose(this.who, now.speaker_tag);
    this.former = now;
    this.fit();
  }

  close({ byKey = true } = {}) {
    if (this.isOver) return;
    this.isOver = true;
    this.box.replaceWith(this.entry.text);
    if (byKey) this.entry.line.querySelector(".edit").focus();
  }
}

/** Shows what another user wrote below the editor, unless a later change has replaced it meanwhile. */
async function theirs(position, of) {
  const version = versions.get(position);
  const { segments } = await ask(`jobs/result/${of.job_id}`);
  if (of === shown && versions.get(position) === version && segments[position]) put(position, segments[position]);
}

function put(position, segment) {
  versions.set(position, (versions.get(position) ?? 0) + 1);
  transcript.replace(position, segment);
  whenChanged(position, segment);
}

/** Sends what is `wanted` otherwise than it was; the service knows by the rest what was seen. */
async function change(position, wanted, former, of = shown) {
  const json = { former: former.text, former_speaker_tag: former.speaker_tag };
  for (const name of FIELDS) if (wanted[name] !== former[name]) json[name] = wanted[name];
  const segment = await ask(`transcripts/${of.transcript_id}/segments/${position}`, { method: "PATCH", json });
  if (of !== shown) return;
  undo?.remove();
  put(position, segment);
  undo = button("edit.undo", () => back(position, former, part(segment)), { className: "undo quiet" });
  transcript.entry(position).text.append(" ", undo);
}

async function back(position, wanted, former) {
  complain("");
  try {
    await change(position, wanted, former);
    undo?.remove();
    announce(t("edit.undone"));
    transcript.entry(position).line.querySelector(".edit").focus();
  } catch (error) {
    complain(said(error));
  }
}
