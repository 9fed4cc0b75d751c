// A call that was drawn for an audit: opens what is folded, and says how long it was in sight.
import { $, $$ } from "./common.js";

let seen = 0;
let since = 0; // when it came into sight; 0: it is not

function count() {
  const time = performance.now();
  if (since) seen += time - since;
  since = document.visibilityState === "visible" && document.hasFocus() ? time : 0;
}

for (const event of ["visibilitychange", "focus", "blur"]) {
  (event === "visibilitychange" ? document : window).addEventListener(event, count);
}
count();
$("#visible")?.form.addEventListener("submit", () => {
  count();
  $("#visible").value = String(Math.min(Math.floor(seen), 86_400_000));
});
for (const button of $$("[data-unfold]")) {
  button.addEventListener("click", () => {
    const text = button.previousElementSibling;
    text.removeAttribute("data-fold");
    button.remove();
    text.tabIndex = -1;
    text.focus({ preventScroll: true });
  });
}
for (const button of $$("[data-show]")) {
  button.addEventListener("click", () => {
    for (const other of $$("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    for (const body of $$("[data-body]")) body.hidden = body.dataset.body !== button.dataset.show;
  });
}
if (location.pathname.endsWith("/reveal")) history.replaceState(null, "", `/audits/${$("main").dataset.id}`);
