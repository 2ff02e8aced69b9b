// The transcript as a file, in every format. Fetched by the page, which can send a key; a link cannot.

import { said } from "./actions.js";
import { fetched } from "./api.js";
import { $, complain, h } from "./dom.js";
import { label } from "./words.js";

const FORMATS = ["srt", "vtt", "txt", "docx", "json", "tsv", "rttm"];

export function show({ job_id, filename }) {
  $("downloads").replaceChildren(...FORMATS.map((format) => {
    const made = h("button", { type: "button", className: "quiet", onclick: () => save(made, job_id, filename, format) },
      format.toUpperCase());
    return label(made, "downloads.as", { format: format.toUpperCase() });
  }));
}

async function save(pressed, jobId, filename, format) {
  pressed.disabled = true;
  complain("");
  try {
    const url = URL.createObjectURL(await fetched(`jobs/result/${jobId}/${format}`));
    h("a", { href: url, download: `${filename.replace(/\.[^.]+$/, "")}.${format}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    complain(said(error));
  }
  pressed.disabled = false;
  pressed.focus();
}
