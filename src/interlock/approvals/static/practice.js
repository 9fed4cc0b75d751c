// A practice call says what it was as soon as it is decided.
import { $, paint, setText } from "./common.js";

export function showPractice({ right, said, by, why, original }) {
  const card = $("#practice");
  card.dataset.right = right ? "yes" : "no";
  setText($("#practice-verdict"), said);
  paint($("#practice-by"), by.join(" and ") || "a colleague");
  $("#practice-why").hidden = !why;
  paint($("#practice-why"), why);
  $("#practice-original").hidden = !original;
  $("#practice-original").href = original ? `/review/${original}` : "/review";
  card.hidden = false;
  card.scrollIntoView({ block: "nearest" });
  card.focus({ preventScroll: true });
}
