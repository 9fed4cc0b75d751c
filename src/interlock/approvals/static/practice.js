// A practice call says what it was as soon as it is decided.
import { $, ask, paint, setText } from "./common.js";
import { path } from "./call.js";

export function showPractice({ right, by, why }) {
  const card = $("#practice");
  card.dataset.right = right ? "yes" : "no";
  setText($("#practice-verdict"), right ? "Good catch: you did not let it through." : "You let this one through. It was practice, so nothing was sent.");
  paint($("#practice-by"), by.join(" and ") || "A colleague");
  $("#practice-why").hidden = !why;
  paint($("#practice-why"), why);
  card.hidden = false;
  card.scrollIntoView({ block: "nearest" });
  card.focus({ preventScroll: true });
}

export async function practised() {
  const { ok, said } = await ask(path);
  if (ok && said.practice) showPractice(said.practice);
}
