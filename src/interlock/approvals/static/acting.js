// What the pages beside the queue share: dialogs, requests with their token, and what was done.
import { $, ask, setText } from "./common.js";

const main = $("#main");
const SAID = "interlock-said";
let leaving = false; // the page is being loaded again

export function send(path, method, body) {
  const headers = { "Interlock-CSRF": main.dataset.csrf };
  return ask(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

export const words = (said) => [said.detail, said.help].filter(Boolean).join(" ");

export function failed(error, said) {
  setText(error, words(said));
  error.hidden = false;
}

// Load the page again; then `text` is read out, and what has the id `focus` gets the focus.
export function again(text, focus) {
  leaving = true;
  sessionStorage.setItem(SAID, JSON.stringify({ path: location.pathname, text, focus }));
  location.reload();
}

function told() {
  const kept = JSON.parse(sessionStorage.getItem(SAID) ?? "null");
  sessionStorage.removeItem(SAID);
  if (kept?.path !== location.pathname) return;
  setText($("#said"), kept.text);
  (document.getElementById(kept.focus) ?? main).focus({ preventScroll: false });
}

export function opened(dialog, button) {
  $(".error", dialog).hidden = true;
  dialog.showModal();
  dialog.addEventListener("close", () => button.focus({ preventScroll: true }), { once: true });
}

// Run `act` with the button off, so that nothing is sent twice; off it stays while the page loads.
export async function once(button, act) {
  button.disabled = true;
  try {
    await act();
  } finally {
    button.disabled = leaving;
  }
}

// A first press asks for a second one: the button then says `text`.
export function sure(button, text) {
  if (button.dataset.sure) return true;
  button.dataset.sure = "yes";
  setText(button, text);
  return false;
}

export function started() {
  main.tabIndex = -1;
  told();
  main.dataset.ready = "yes";
}
