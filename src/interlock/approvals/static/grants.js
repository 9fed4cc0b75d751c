// The list of grants: each can be ended at once.
import { $, $$, ask, setText } from "./common.js";

const main = $("#main");

async function revoke(card, button) {
  button.disabled = true;
  const headers = { "Interlock-CSRF": main.dataset.csrf };
  const path = `/v1/grants/${encodeURIComponent(card.dataset.id)}`;
  const { ok, status, said } = await ask(path, { method: "DELETE", headers });
  const error = $("#grants-error");
  error.hidden = ok || status === 404;
  if (!error.hidden) {
    setText(error, [said.detail, said.help].filter(Boolean).join(" "));
    button.disabled = false;
    return;
  }
  const at = $$(".grant-card").indexOf(card);
  card.remove();
  const left = $$(".grant-card");
  setText($("#count"), String(left.length));
  $("#empty").hidden = left.length > 0;
  setText($("#grants-said"), ok ? "Revoked." : "It had ended already.");
  ($("[data-revoke]", left[at] ?? left.at(-1) ?? main) ?? main).focus();
}

for (const button of $$("[data-revoke]")) {
  const card = button.closest(".grant-card");
  button.addEventListener("click", () => {
    if (button.dataset.sure) return revoke(card, button);
    button.dataset.sure = "yes";
    setText(button, "Revoke it now");
  });
}
main.tabIndex = -1;
main.dataset.ready = "yes";
