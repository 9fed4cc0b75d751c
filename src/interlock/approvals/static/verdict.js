// What the machine made of the call stays folded until the person has a view of their own.
// Their view stays in this browser; nothing of the request, and no warning, is ever folded.
import { $, $$, setText } from "./common.js";
import { about, now, settle } from "./call.js";

const SAID = {
  right: "You said: looks right.",
  wrong: "You said: looks wrong.",
  unsure: "You said: cannot tell.",
};
const kept = `judged ${about.digest}`;

function unfold(view) {
  now.judged = true;
  for (const part of $$("[data-folded]")) part.hidden = false;
  $("#main").dataset.stake = about.stakeFolded;
  $("#dock").dataset.stake = about.stakeFolded;
  setText($("#fold-said"), SAID[view] ?? "");
  $("#fold").hidden = true;
  settle();
}

export function startFolding() {
  if (!$("#fold")) return;
  const before = sessionStorage.getItem(kept);
  if (now.over || before) unfold(before);
  for (const button of $$("[data-judge]")) {
    button.addEventListener("click", () => {
      sessionStorage.setItem(kept, button.dataset.judge);
      unfold(button.dataset.judge);
      $("#why-title").focus({ preventScroll: true });
    });
  }
}
