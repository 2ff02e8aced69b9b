// What is wanted of a new transcript: the choices that the service offers.

import { ask } from "./api.js";
import { $, complain, h, show } from "./dom.js";
import * as recorder from "./recorder.js";
import * as upload from "./upload.js";
import { placeholder, say } from "./words.js";

let engines = {};
/** The engine of a job that names none. */
let usual = "";

/** `sent` is called with the answers when something was sent, `accepted` with each on the way. */
export function set({ accepted, sent }) {
  recorder.set((file) => upload.choose([file]));
  $("files").addEventListener("change", (event) => {
    upload.choose(event.target.files);
    event.target.value = "";
  });
  $("engine").addEventListener("change", offer);
  for (const id of ["channels", "diarize"]) $(id).addEventListener("change", askForSpeakers);
  $("new-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (upload.isBusy() || !upload.count()) return;
    complain("");
    const answers = await upload.sendAll(fields(), accepted);
    if (answers.length) sent(answers);
  });
  takeDrops();
}

/** What of the form is filled in. */
function fields() {
  const wanted = {};
  for (const name of ["engine", "model", "language", "context_id", "channels", "track", "initial_prompt"]) {
    const value = $("new-form").elements[name].value.trim();
    if (value && !(name === "initial_prompt" && $("prompt-field").hidden)) wanted[name] = value;
  }
  if (wanted.channels === "separate") return wanted;
  delete wanted.channels;
  if (!$("diarize").checked) return { ...wanted, enable_diarization: "false" };
  if ($("least").value) wanted.min_speakers = $("least").value;
  if ($("most").value) wanted.max_speakers = $("most").value;
  return wanted;
}

/** Whole page: who drops beside the box means the box. */
function takeDrops() {
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    $("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    $("drop").classList.remove("over");
    location.hash = "#/";
    upload.choose(event.dataTransfer.files);
  });
}

/** Shows what the service has told of its engines. */
export function know(told) {
  engines = told.engines;
  usual = told.default_engine;
  const select = $("engine");
  const chosen = select.value;
  const automatic = say(h("option", { value: "" }), "engines.automatic", { name: title(usual) });
  select.replaceChildren(automatic, ...Object.values(engines).map(option));
  select.value = engines[chosen] ? chosen : "";
  offer();
}

function option({ engine, available }) {
  return say(h("option", { value: engine }), available ? "engines.option" : "engines.option_away", { name: title(engine) });
}

const TITLES = { whisper: "Whisper", sphinx: "PocketSphinx", asr: "NVIDIA Riva", whisperx: "WhisperX" };
/** Engines that read a text before they listen. */
const READERS = ["whisper", "whisperx"];
export const title = (engine) => TITLES[engine] ?? engine;

function offer() {
  const engine = engines[$("engine").value || usual];
  if (!engine) return;
  show($("prompt-field"), READERS.includes(engine.engine));
  const models = engine.available_models ?? engine.models ?? [];
  show($("model-field"), models.length > 0);
  const kept = $("model").value;
  $("model").replaceChildren(
    say(h("option", { value: "" }), "new.usual"),
    ...models.map((name) => modelOption(name, engine.models_here)),
  );
  $("model").value = models.includes(kept) ? kept : "";
  const spoken = engine.languages ?? (engine.language ? [engine.language] : []);
  $("spoken-known").replaceChildren(...spoken.map((value) => h("option", { value })));
  placeholder($("spoken"), spoken.length ? "new.usual_language" : "new.any_language", { tag: spoken[0] });
  say($("engine-hint"), "engines.waits", { name: title(engine.engine) });
  show($("engine-hint"), !engine.available);
}

/** `here`: the models that need not be fetched first, where some must. */
function modelOption(name, here) {
  const option = h("option", { value: name }, name);
  return here && !here.includes(name) ? say(option, "engines.model_away", { name }) : option;
}

function askForSpeakers() {
  const separate = $("channels").value === "separate";
  $("speakers-asked").disabled = separate;
  for (const id of ["least", "most"]) $(id).disabled = !$("diarize").checked;
}

/** Fetches the lists of terms; a service without any offers none. */
export async function loadContexts() {
  const { contexts } = await ask("contexts?limit=100");
  show($("context-field"), contexts.length > 0);
  $("context").replaceChildren(
    say(h("option", { value: "" }), "new.no_context"),
    ...contexts.map(({ context_id, name }) => h("option", { value: context_id }, name)),
  );
}
