// Keys, and the dialog that tells of them. They can be turned off: dictation and switches send keys too.

import { $, closeable, h, open } from "./dom.js";
import * as edit from "./edit.js";
import * as player from "./player.js";
import { beside } from "./transcript.js";
import { say } from "./words.js";

const KEPT = "transcribe.shortcuts";

const SHORTCUTS = [
  { keys: ["k", " "], shown: "Space, K", about: "help.play", act: () => player.toggle() },
  { keys: ["ArrowLeft"], shown: "←", about: "help.back", act: () => player.skip(-5) },
  { keys: ["ArrowRight"], shown: "→", about: "help.on_5", act: () => player.skip(5) },
  { keys: ["p"], shown: "P", about: "help.previous", act: () => jump(-1) },
  { keys: ["n"], shown: "N", about: "help.next", act: () => jump(1) },
  { keys: ["<", ","], shown: "<", about: "help.slower", act: () => player.speed(-1) },
  { keys: [">", "."], shown: ">", about: "help.faster", act: () => player.speed(1) },
  { keys: ["e"], shown: "E", about: "help.edit", act: () => $("done").hidden || edit.here() },
  { keys: ["/"], shown: "/", about: "help.search", act: () => player.isThere() && $("sought").focus() },
  { keys: ["c"], shown: "C", about: "help.new", act: () => (location.hash = "#/") },
  { keys: ["?"], shown: "?", about: "help.open", act: () => open($("help")) },
];

export function set() {
  const dialog = $("help");
  closeable(dialog);
  for (const { shown, about } of SHORTCUTS)
    $("help-keys").append(h("dt", {}, h("kbd", {}, shown)), say(h("dd"), about));
  $("help-open").addEventListener("click", () => open(dialog));
  $("keys-on").checked = localStorage.getItem(KEPT) !== "off";
  $("keys-on").addEventListener("change", (event) => {
    localStorage.setItem(KEPT, event.target.checked ? "on" : "off");
  });
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (!$("keys-on").checked || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const means = SHORTCUTS.find(({ keys }) => keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
  if (!means || isTaken(event)) return;
  event.preventDefault();
  means.act();
}

/** Fields take every key, and what can be pressed takes Space; players and lists take arrows. */
function isTaken({ target, key }) {
  if (target.closest("input:not([type=checkbox]), select, textarea, video")) return true;
  if (key === " ") return Boolean(target.closest("button, a, summary, input, label"));
  return key.startsWith("Arrow") && Boolean(target.closest("#heard"));
}

function jump(step) {
  if (!player.isThere()) return;
  const start = beside($("media").currentTime, step);
  if (start !== undefined) player.seek(start);
}
