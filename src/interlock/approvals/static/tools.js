// The list of tools that wait: each definition can be accepted as it is shown.
import { $, $$, ask, setText } from "./common.js";

const waiting = () => $$("[data-accept]");

function fewer(target) {
  const left = Math.max(0, Number(target.textContent) - 1);
  setText(target, String(left));
  return left;
}

async function accept(card, button) {
  button.disabled = true;
  const headers = { "Interlock-CSRF": card.dataset.csrf };
  const body = JSON.stringify({ hash: card.dataset.hash });
  const { ok, said } = await ask(card.dataset.path, { method: "POST", headers, body });
  const error = $("#tools-error");
  error.hidden = ok;
  if (!ok) {
    setText(error, [said.detail, said.help].filter(Boolean).join(" "));
    error.scrollIntoView({ block: "center" });
    button.disabled = false;
    return;
  }
  const at = waiting().indexOf(button);
  const state = $(".state", card);
  state.replaceChildren();
  const tag = document.createElement("span");
  tag.className = "tag good";
  tag.textContent = "accepted";
  state.append(tag, " by you, now");
  button.remove();
  setText($("#tools-said"), `${$(".tool", card).textContent} is accepted.`);
  fewer($("#count"));
  const badge = $("#tools-waiting");
  if (badge && fewer(badge) === 0) badge.remove();
  (waiting()[at] || waiting()[0] || card).focus();
}

for (const button of waiting()) {
  const card = button.closest(".tool-card");
  button.addEventListener("click", () => {
    if (button.dataset.sure) return accept(card, button);
    button.dataset.sure = "yes";
    button.classList.add("approve");
    setText(button, "I have read it: accept it");
  });
}
$("#main").dataset.ready = "yes";
