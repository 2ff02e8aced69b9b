// A job that goes on: its stage, how far it is, and the words as they are heard.

import { $, announce, h, show as visible } from "./dom.js";
import { isOver } from "./stream.js";
import { clock, say, t } from "./words.js";

const STAGES = ["queued", "prepare", "listen", "merge"];
/** Percent after which the progress is told to whoever does not see the bar. */
const TOLD_EVERY = 25;

let toldPercent = 0;

export function set() {
  for (const stage of STAGES) {
    const step = say(h("li"), `stage.${stage}`);
    step.dataset.stage = stage;
    $("stages").append(step);
  }
}

export function clear() {
  toldPercent = 0;
  $("heard").replaceChildren();
  connected(true);
}

export function connected(is) {
  visible($("cut-off"), !is);
}

export function hasHeard() {
  return $("heard").childElementCount > 0;
}

export function show(state) {
  const at = STAGES.indexOf(state.stage);
  for (const [number, step] of [...$("stages").children].entries()) {
    step.className = number < at ? "past" : "";
    if (number === at) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  const goesOn = !isOver(state);
  for (const id of ["stages", "progress"]) visible($(id), goesOn);
  for (const figure of [$("percent"), $("chunks"), $("left")]) visible(figure, goesOn);
  if (goesOn) figures(state);
  $("heard").classList.toggle("goes-on", state.stage === "listen");
}

function figures(state) {
  $("progress").value = state.progress;
  $("percent").textContent = `${state.progress} %`;
  awaited(state);
  visible($("left"), state.seconds_left !== null);
  if (state.seconds_left !== null) left(state.seconds_left);
  if (state.progress >= toldPercent + TOLD_EVERY) {
    toldPercent = state.progress - (state.progress % TOLD_EVERY);
    announce(t("running.told", { percent: state.progress }));
  }
}

/** What the job waits for: a worker, its chunks, or after them all its speakers. */
function awaited(state) {
  const { chunks_done: done, chunks_total: n, shards_done, shards_total, queue_position } = state;
  visible($("chunks"), n > 0 || queue_position !== null);
  if (queue_position !== null) say($("chunks"), "running.waiting");
  else if (done === n && shards_done < shards_total) {
    say($("chunks"), "running.speakers", { done: shards_done, n: shards_total });
  } else say($("chunks"), "running.chunks", { done, n });
}

/** An estimate is told as roughly as it is meant. */
function left(seconds) {
  if (seconds < 5) say($("left"), "running.soon");
  else if (seconds < 90) say($("left"), "running.seconds", { n: Math.ceil(seconds / 5) * 5 });
  else if (seconds < 5400) say($("left"), "running.minutes", { n: Math.round(seconds / 60) });
  else say($("left"), "running.hours", { n: Math.round(seconds / 3600) });
}

/** Puts what was heard in a chunk in its place; chunks are not heard in their order. */
export function heard({ chunk, start, text }) {
  const lines = [...$("heard").children];
  if (!text || lines.some((line) => Number(line.dataset.chunk) === chunk)) return;
  const line = h("p", {}, h("span", { className: "at" }, clock(start)), h("span", { className: "fresh" }, text));
  line.dataset.chunk = chunk;
  const next = lines.find((one) => Number(one.dataset.chunk) > chunk);
  const box = $("heard");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.insertBefore(line, next ?? null);
  if (atEnd && !next) box.scrollTop = box.scrollHeight;
}
