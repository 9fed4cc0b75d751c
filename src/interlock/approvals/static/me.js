// Who I am: away and back, security keys and passkeys.
import { $, $$, setText } from "./common.js";
import { again, failed, once, send, started, sure } from "./acting.js";
import { enrol, remove } from "./webauthn.js";

const main = $("#main");
const error = $("#me-error");

async function away(form) {
  const until = new Date(`${form.elements.until.value}T23:59:59`).getTime();
  const body = { until: until || 0, to: form.elements.to.value };
  const { ok, said } = await send("/v1/me/away", "PUT", body);
  if (!ok) return failed(error, said);
  again("Noted: you are away.", "away");
}

async function back() {
  const { ok, said } = await send("/v1/me/away", "DELETE");
  if (!ok) return failed(error, said);
  again("Welcome back: nobody stands in for you any more.", "away");
}

// What webauthn.js throws is for the person.
async function signed(act, text) {
  error.hidden = true;
  setText($("#said"), "Your browser asks for your security key or passkey now.");
  try {
    await act();
  } catch (refused) {
    setText($("#said"), "");
    return failed(error, { detail: refused.message });
  }
  again(text, "keys");
}

$("#away-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  once(event.submitter, () => away(event.target));
});
$("#back")?.addEventListener("click", (event) => once(event.currentTarget, back));

const form = $("#enrol");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const label = form.elements.label.value.trim();
  once(event.submitter, () => signed(() => enrol(label), `Added: ${label}.`));
});
for (const button of $$("[data-remove]")) {
  button.addEventListener("click", () => {
    if (!sure(button, "Remove it for good")) return;
    once(button, () => signed(() => remove(button.dataset.remove), "Removed."));
  });
}
// browsers sign for one address only: elsewhere, lead there
if (main.dataset.origin && main.dataset.origin !== location.origin) {
  $("#elsewhere").hidden = false;
  if (form) form.hidden = true;
  for (const button of $$("[data-remove]")) button.hidden = true;
}
started();
