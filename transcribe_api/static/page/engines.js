// The engines of the service and the workers behind them.

import { ask } from "./api.js";
import { $, h } from "./dom.js";
import * as form from "./form.js";
import { say } from "./words.js";

/** Shows what `jobs/engines` told; how many processes work is added where the key may know it. */
export async function show(told) {
  const list = Object.values(told.engines);
  const lines = list.map((one) => line(one, told.default_engine));
  if (!$("engines").childElementCount) $("engines").replaceChildren(...lines);
  const { workers, queues } = await ask("system/status").catch(() => ({}));
  for (const [number, { engine }] of list.entries())
    if (workers) count(lines[number], workers, queues, `asr.${engine}`);
  $("engines").replaceChildren(...lines);
}

function line(told, usual) {
  const facts = [told.model, told.uri, ...(told.languages ?? []), ...(told.models_here ?? told.available_models ?? [])];
  return h("li", {},
    h("strong", {}, form.title(told.engine)),
    say(h("span", { className: `badge ${told.available ? "is-completed" : ""}` }),
      told.available ? "engines.there" : "engines.away"),
    told.engine === usual ? say(h("span", { className: "hint" }), "engines.usual") : null,
    h("span", { className: "hint facts" }, facts.filter(Boolean).join(", ")));
}

function count(line, workers, queues, queue) {
  const mine = workers.filter((one) => one.queues.includes(queue));
  const processes = mine.reduce((sum, one) => sum + one.processes, 0);
  const waiting = queues[queue]?.waiting ?? 0;
  const told = h("span", { className: "hint facts load" });
  if (processes) told.append(say(h("span"), "engines.processes", { n: processes }));
  if (waiting) told.append(processes ? " · " : "", say(h("span"), "engines.waiting", { n: waiting }));
  line.append(told);
}
