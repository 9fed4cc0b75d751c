// Long texts are folded; nobody approves before they were opened, all of them at once.
import { $$ } from "./common.js";
import { now, settle } from "./call.js";

function unfold() {
  for (const fold of $$("[data-fold]")) fold.removeAttribute("data-fold");
  for (const button of $$("[data-unfold]")) button.remove();
  now.unfolded = true;
  settle();
}

export function startUnfolding() {
  now.unfolded = $$("[data-fold]").length === 0;
  for (const button of $$("[data-unfold]")) {
    button.addEventListener("click", () => {
      const text = button.previousElementSibling;
      unfold();
      text.tabIndex = -1;
      text.focus({ preventScroll: true });
    });
  }
}
