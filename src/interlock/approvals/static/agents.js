// Stopping and resuming agents. The page is loaded again afterwards: the server says who is stopped.
import { $, $$, paint } from "./common.js";
import { again, failed, once, opened, send, started } from "./acting.js";
import { follow } from "./live.js";

let chosen; // what the open dialog is about: the button that opened it

function about(dialog, button) {
  chosen = button;
  for (const name of $$("[data-name]", dialog)) paint(name, button.dataset.name);
  opened(dialog, button);
}

const path = (id, what) => `/v1/agents/${encodeURIComponent(id)}/${what}`;
const place = () => chosen.closest("[id]").id;

async function stop(dialog) {
  const reason = $("#stop-reason").value.trim();
  if (!reason) {
    $("#stop-reason").focus();
    return failed($(".error", dialog), { detail: "Say why: whoever resumes it reads this." });
  }
  const { ok, said } = await send(path(chosen.dataset.stop, "suspend"), "POST", { reason });
  if (!ok) return failed($(".error", dialog), said);
  again(`Stopped: ${chosen.dataset.name}.`, place());
}

async function resume(dialog) {
  const { ok, status, said } = await send(path(chosen.dataset.resume, "resume"), "POST");
  if (!ok && status !== 404) return failed($(".error", dialog), said);
  again(`Resumed: ${chosen.dataset.name}.`, place());
}

for (const [name, act] of [["stop", stop], ["resume", resume]]) {
  const dialog = $(`#${name}`);
  if (!dialog) continue;
  for (const button of $$(`[data-${name}]`)) button.addEventListener("click", () => about(dialog, button));
  $("form", dialog).addEventListener("submit", (event) => {
    event.preventDefault();
    once(event.submitter, () => act(dialog));
  });
  $("[data-dismiss]", dialog).addEventListener("click", () => dialog.close());
}
// The bar on top says it at once; the switch below it must not say otherwise for long.
const LATER = 3_000; // ms; the stream is up to 2 s behind
let waiting;
follow(({ halted }) => {
  clearTimeout(waiting);
  const differs = Boolean(halted) !== $("#all").hasAttribute("data-stopped");
  if (differs) waiting = setTimeout(() => $("dialog[open]") ?? again("", "all"), LATER);
});
started();
