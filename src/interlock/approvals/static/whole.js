// A call that is too large to be shown at once: all of it, before anybody may approve it.
import { $, ask, element, paint, setText } from "./common.js";
import { about, changeRow, now, path, settle } from "./call.js";

// `changed`: what to do where the call is not the one that this page shows any more.
export async function showAll(changed) {
  $("#show-all").disabled = true;
  const { ok, said } = await ask(path);
  $("#show-all").disabled = false;
  if (!ok) return setText($("#withheld b"), said.detail);
  if (said.card.digest !== about.digest) return changed(said);
  const { pretty, visible } = said.call.body;
  if ($("#body-exact")) {
    paint($("#body-exact"), visible);
    paint($("#body-pretty"), pretty ?? "");
    $("#body-pretty").hidden = pretty === null;
    $("#body-exact").hidden = pretty !== null;
  }
  $("#arguments").replaceChildren(...said.arguments.map(argumentRow));
  $("#arguments-block").hidden = said.arguments.length === 0;
  const toggle = $(".block-head .toggle[aria-label=Body]");
  if (toggle) toggle.hidden = pretty === null;
  compare(said.compared);
  $("#withheld").remove();
  now.whole = true;
  settle();
}

function argumentRow(argument) {
  const row = element("tr");
  const name = paint(element("th", "v"), argument.name);
  name.scope = "row";
  name.append(element("small", "", argument.source === "json" ? "body" : argument.source));
  const value = paint(element("td", "v pre"), argument.visible);
  if (argument.redacted) value.append(" ", element("span", "tag", "hidden"));
  else if (argument.revealed) value.append(" ", element("span", "tag", "revealed"));
  row.append(name, value);
  return row;
}

function compare(compared) {
  const block = $("#compared");
  if (!block) return;
  block.hidden = false;
  $("#compared-none").hidden = compared !== null;
  $("#compared-with").hidden = compared === null;
  if (compared === null) return;
  paint($("#compared-by"), compared.by.join(" and ") || "Somebody");
  paint($("#compared-agent"), compared.agent);
  $("#compared-at").dataset.since = compared.at;
  $("#compared-link").href = `/review/${encodeURIComponent(compared.id)}`;
  $("#compared-same").hidden = !compared.same;
  $("#compared-diff").hidden = compared.same;
  $("#compared-changes").replaceChildren(...compared.changes.map(changeRow));
}
