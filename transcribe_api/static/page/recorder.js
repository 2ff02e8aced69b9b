// Records from the microphone, into a file like any other.

import { $, complain, show } from "./dom.js";
import { clock, say, t } from "./words.js";

const KINDS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];

let recorder = null;

/** `recorded` is called with the file when a recording ends. */
export function set(recorded) {
  const button = $("record");
  // Browsers lend the microphone only to pages that came over TLS, or from this machine.
  if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === "undefined") {
    button.disabled = true;
    say(button, "record.none");
    return;
  }
  button.addEventListener("click", () => {
    if (recorder) recorder.stop();
    else start(recorded).catch((error) => complain(t("record.refused", { why: error.message })));
  });
}

async function start(recorded) {
  complain("");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const [type, ending] = KINDS.find(([one]) => MediaRecorder.isTypeSupported(one)) ?? ["", "webm"];
  const pieces = [];
  recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const stopClock = startClock();
  recorder.onstop = () => {
    stopClock();
    for (const track of stream.getTracks()) track.stop();
    recorder = null;
    say($("record"), "record.start");
    const kind = type.split(";")[0];
    recorded(new File(pieces, `${t("record.name")} ${stamp()}.${ending}`, { type: kind }));
  };
  recorder.start(1000);
  say($("record"), "record.stop");
}

function startClock() {
  const output = $("record-time");
  const began = performance.now();
  const tick = () => (output.textContent = clock((performance.now() - began) / 1000));
  tick();
  show(output);
  const timer = setInterval(tick, 500);
  return () => {
    clearInterval(timer);
    show(output, false);
  };
}

function stamp() {
  const now = new Date();
  const local = new Date(now - now.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16).replace("T", " ").replace(":", ".");
}
