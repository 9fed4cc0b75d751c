// Undoing a call that was answered: proposes the call that policy names for it.
import { $, ask, setText } from "./common.js";
import { path } from "./call.js";

async function undo(button) {
  button.disabled = true;
  const headers = { "Interlock-CSRF": button.dataset.csrf };
  const { ok, said } = await ask(`${path}/undo`, { method: "POST", headers });
  const line = $("#undo-said");
  if (!ok) {
    setText(line, [said.detail, said.help].filter(Boolean).join(" "));
    button.disabled = false;
    return;
  }
  if (said.state === "held") return location.assign(`/review/${encodeURIComponent(said.id)}`);
  location.reload(); // the page then says what undid it
}

export function startUndoing() {
  const button = $("#undo");
  if (!button) return;
  button.addEventListener("click", () => {
    if (button.dataset.sure) return undo(button);
    button.dataset.sure = "yes";
    setText(button, `Yes, ask for ${button.dataset.tool}`);
  });
}
