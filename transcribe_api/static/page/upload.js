// Sends recordings one after the other, and shows how far each is.

import { address, headers, refused } from "./api.js";
import { $, announce, h } from "./dom.js";
import { label, say, size, t } from "./words.js";

/** A recording that was chosen: its file, its line in the list, and its name for the service. */
class Chosen {
  constructor(file, remove) {
    this.file = file;
    // The same name with every try: if only the answer was lost, no second job is made.
    this.key = newName();
    this.bar = h("progress", { max: 1, value: 0, hidden: true });
    label(this.bar, "upload.bar", { name: file.name });
    this.told = h("span", { className: "hint" }, size(file.size));
    this.gone = label(h("button", { type: "button", className: "square", onclick: () => remove(this) }, "×"),
      "upload.remove", { name: file.name });
    this.line = h("li", {}, h("span", { className: "name" }, file.name), this.told, this.gone, this.bar);
    this.request = null;
  }
}

let waiting = [];
let busy = false;

export const isBusy = () => busy;
export const count = () => waiting.length;

export function choose(files) {
  for (const file of files) {
    const one = new Chosen(file, remove);
    waiting.push(one);
    $("chosen").append(one.line);
  }
  changed();
}

function remove(one) {
  one.request?.abort();
  waiting = waiting.filter((other) => other !== one);
  one.line.remove();
  changed();
  $("files").focus();
}

function changed() {
  const send = $("send");
  send.disabled = busy || waiting.length === 0;
  say(send, busy ? "new.sending" : waiting.length > 1 ? "new.send_all" : "new.send", { n: waiting.length });
}

/** Sends all that was chosen with these fields; `accepted` is called with each answer. */
export async function sendAll(fields, accepted) {
  busy = true;
  changed();
  const answers = [];
  for (const one of [...waiting]) {
    if (!waiting.includes(one)) continue;
    const answer = await attempt(one, fields);
    if (!answer) continue;
    answers.push(answer);
    waiting = waiting.filter((other) => other !== one);
    one.line.remove();
    accepted(answer);
  }
  busy = false;
  changed();
  return answers;
}

async function attempt(one, fields) {
  try {
    return await send(one, fields);
  } catch (error) {
    const lost = error.status === undefined;
    one.bar.hidden = true;
    one.told.className = "bad-words";
    one.told.setAttribute("role", "alert");
    if (lost) say(one.told, "upload.lost");
    else {
      delete one.told.dataset.t;
      one.told.textContent = error.message;
      one.key = newName();
    }
    return null;
  }
}

function send(one, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", one.file, one.file.name);
  const request = (one.request = new XMLHttpRequest());
  request.open("POST", address("jobs/transcribe"));
  request.responseType = "json";
  const sent = { ...headers(), "Idempotency-Key": one.key };
  for (const [name, value] of Object.entries(sent)) request.setRequestHeader(name, value);
  one.bar.hidden = false;
  one.told.className = "hint";
  one.told.removeAttribute("role");
  request.upload.onprogress = ({ loaded, total }) => {
    one.bar.value = total ? loaded / total : 0;
    const done = loaded >= total;
    if (done) say(one.told, "upload.checked");
    else say(one.told, "upload.sent", { percent: Math.floor((100 * loaded) / total), of: size(one.file.size) });
  };
  return new Promise((resolve, reject) => {
    request.onload = () => {
      const { status, response } = request;
      if (status === 202) {
        announce(t("upload.accepted", { name: one.file.name }));
        resolve(response);
      } else reject(refused(status, response ?? {}));
    };
    request.onerror = () => reject(new Error("lost"));
    request.onabort = () => reject(new Error("aborted"));
    request.send(form);
  });
}

/** Not `randomUUID`: that is only there where a page came over TLS. */
function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

addEventListener("beforeunload", (event) => {
  if (busy) event.preventDefault();
});
