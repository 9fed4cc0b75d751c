// One call: show all of it, keep it current, decide it.
import { $, $$, ask, element, follow, help, keys, paint, setNow, setText, storeNow } from "./common.js";
import { startEditing } from "./edit.js";

const main = $("#main");
const about = main.dataset;
const path = `/v1/approvals/${encodeURIComponent(about.id)}`;
const required = new Set(about.reason.split(" "));
const page = `/review/${encodeURIComponent(about.id)}`;
let whole = about.whole === "yes";
let over = about.state !== "held";
let sending = false;
let also = ""; // what a decision did beside deciding

// what may be done ---------------------------------------------------------------------------

function settle() {
  const late = storeNow() >= Number(about.deadline);
  const approve = $("#approve");
  if (approve) approve.disabled = !(whole && about.approve === "yes") || over || late;
  for (const button of $$("#actions [data-open]")) if (button !== approve) button.disabled = over || late;
  for (const button of $$("[data-send]")) button.disabled = over || late || sending;
  const send = $("#edit-send");
  if (send && (over || late)) send.disabled = true;
  if (late && !over) finish("The time to decide is over; the call will not be sent.");
  if (!whole && $("#why-not")) setText($("#why-not"), "Show everything before you approve");
}

// "Nobody has decided yet" is true only until somebody has.
function forgetNobody() {
  const nobody = $("#nobody");
  if (nobody) nobody.remove();
}

function finish(text) {
  forgetNobody();
  over = true;
  const banner = $("#banner");
  paint(banner, text);
  banner.hidden = false;
  $("#after").hidden = false;
  paint($("#after-text"), text);
  const actions = $("#actions");
  if (actions) actions.hidden = true;
  for (const panel of $$(".panel")) panel.hidden = true;
  for (const button of $$("#panel-edit button")) button.disabled = true;
  nextCall();
}

async function nextCall() {
  const { ok, said } = await ask("/v1/approvals?limit=2");
  const next = ok && said.items.find((card) => card.id !== about.id);
  $("#after-next").hidden = !next;
  if (next) $("#after-next").href = `/review/${encodeURIComponent(next.id)}`;
}

// showing everything -------------------------------------------------------------------------

async function showAll() {
  const { ok, said } = await ask(path);
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
  $("#withheld").remove();
  whole = true;
  setText($("#why-not"), said.may.why);
  settle();
}

function argumentRow(argument) {
  const row = element("tr");
  const name = paint(element("th", "v"), argument.name);
  name.scope = "row";
  name.append(element("small", "", argument.source));
  const value = paint(element("td", "v pre"), argument.visible);
  if (argument.redacted) value.append(" ", element("span", "tag", "hidden"));
  else if (argument.revealed) value.append(" ", element("span", "tag", "revealed"));
  row.append(name, value);
  return row;
}

// staying current ----------------------------------------------------------------------------

function changed(said) {
  if (said.card.state !== "held") return finish(said.card.outcome);
  if (said.card.digest === about.digest) return voted(said);
  finish("The call was edited by somebody else. ");
  const again = element("a", "", "Look at what it is now");
  again.href = page;
  $("#banner").append(again);
}

// A colleague's vote does not change what is looked at; the rest of the page stays as it is.
function voted(said) {
  about.version = said.card.version;
  const last = said.votes.at(-1);
  if (!last) return;
  forgetNobody();
  paint($("#banner"), `${last.by} approved: ${said.card.votes} of ${said.card.quorum}. ${said.may.why}`);
  $("#banner").hidden = false;
  about.approve = said.may.approve ? "yes" : "no";
  settle();
}

async function refresh() {
  if (sending) return;
  const { ok, said } = await ask(path);
  if (!ok) return;
  setNow(said.now);
  const waiting = $("#waiting");
  if (waiting && said.card.caller_waiting !== null) {
    setText(waiting, said.card.caller_waiting ? "caller waiting" : "nobody waiting");
  }
  if (said.card.version !== Number(about.version)) {
    if (over) {
      about.version = said.card.version;
      paint($("#banner"), said.card.outcome + also);
      paint($("#after-text"), said.card.outcome + also);
    } else changed(said);
  }
}

// deciding -----------------------------------------------------------------------------------

// Send a decision. `extra` is raw JSON members, so that numbers stay as they were typed.
export async function decide(type, { message = "", code = "", extra = "" }, error) {
  if (sending || over) return;
  sending = true;
  settle();
  const said = { type, digest: about.digest, message, reason_code: code };
  const body = JSON.stringify(said).slice(0, -1) + extra + "}";
  const headers = { "If-Match": `"${about.version}"`, "Interlock-CSRF": about.csrf };
  const answer = await ask(`${path}/decision`, { method: "POST", headers, body });
  sending = false;
  if (answer.ok) {
    about.version = answer.said.version;
    if (answer.said.state === "held") finish(`Recorded: ${answer.said.votes} of ${answer.said.quorum} approved.`);
    else {
      also = answer.said.replaced_grant ? ". The grant took the place of an earlier one" : "";
      finish(answer.said.said + also);
    }
    return refresh();
  }
  const current = answer.said.current;
  if (current && current.state !== "held") {
    finish(`${answer.said.detail} ${current.said}`);
    return refresh(); // what moved on while this was sent has been announced already
  }
  error.textContent = answer.said.detail;
  error.hidden = false;
  settle();
}

function open(name) {
  const panel = $(`#panel-${name}`);
  const button = $(`[data-open=${name}]`);
  if (!panel || !button || button.disabled || over) return;
  close();
  panel.hidden = false;
  document.body.classList.toggle("edits", name === "edit");
  if (name === "edit") panel.scrollIntoView({ block: "start" });
  const plain = name === "approve" && !required.has("approve");
  const first = plain ? "[data-send]" : name === "edit" ? "[data-value]:enabled" : "input, textarea";
  $(first, panel)?.focus({ preventScroll: name === "edit" });
}

function close() {
  document.body.classList.remove("edits");
  let closed = false;
  if (document.activeElement?.closest(".panel, #panel-edit")) document.activeElement.blur();
  for (const panel of $$(".panel, #panel-edit")) {
    closed ||= !panel.hidden;
    panel.hidden = true;
  }
  return closed;
}

function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const type = $("[data-send]", form).dataset.send;
  const error = $(".error", form);
  const chosen = $("input[name=reason]:checked", form);
  const typed = $("textarea", form).value.trim();
  const message = typed || (chosen ? chosen.dataset.text : "");
  error.hidden = true;
  if (!message && (type !== "approve" || required.has("approve"))) {
    error.textContent = type === "respond" ? "Write the answer." : "Give a reason.";
    error.hidden = false;
    return $("textarea", form).focus();
  }
  const extra = type === "approve" ? granted(error) : "";
  if (extra !== null) decide(type, { message, code: chosen ? chosen.value : "", extra }, error);
}

// "Do not ask again", as a member of the decision; null where it cannot be meant.
function granted(error) {
  if (!$("#grant-on")?.checked) return "";
  const uses = $("#grant-uses");
  const most = Number(uses.dataset.most);
  if (!/^[1-9][0-9]{0,6}$/.test(uses.value.trim()) || Number(uses.value) > most) {
    error.textContent = `Grant between 1 and ${most} calls.`;
    error.hidden = false;
    uses.focus();
    return null;
  }
  const grant = { scope: "target", uses: Number(uses.value), for: $("#grant-for").value, reason: $("#grant-reason").value.trim() };
  return `,"grant":${JSON.stringify(grant)}`;
}

async function neighbour(step) {
  const { ok, said } = await ask("/v1/approvals?limit=200");
  if (!ok) return;
  const at = said.items.findIndex((card) => card.id === about.id);
  const next = said.items[at + step];
  if (next) location.assign(`/review/${encodeURIComponent(next.id)}`);
}

// An edit needs what is hidden: the key then leads to the button that reveals it.
function edit() {
  if ($("#edit-later") && !over) $("#reveal")?.focus();
  else open("edit");
}

function approve() {
  if (!$("#approve") || $("#approve").disabled) return;
  open("approve");
}

for (const button of $$("[data-open]")) button.addEventListener("click", () => open(button.dataset.open));
for (const button of $$("[data-close]")) button.addEventListener("click", close);
for (const form of $$(".panel")) {
  form.addEventListener("submit", submit);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}
for (const button of $$("[data-show]")) {
  button.addEventListener("click", () => {
    for (const other of $$("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    for (const body of $$("[data-body]")) body.hidden = body.dataset.body !== button.dataset.show;
  });
}
$("#grant-on")?.addEventListener("change", (event) => {
  $("#grant-more").hidden = !event.target.checked;
  setText($("[data-send=approve]"), event.target.checked ? "Approve, and do not ask again for this" : "Approve: send it as shown");
});
// what was revealed came as the answer to a form: loading the page again hides it
if (location.pathname !== page) history.replaceState(null, "", page);
$("#show-all")?.addEventListener("click", showAll);
if ($("#panel-edit")) startEditing(path, decide);
keys({
  a: approve,
  e: edit,
  r: () => open("reject"),
  j: () => neighbour(1),
  k: () => neighbour(-1),
  "?": help,
  Escape: () => (close() ? undefined : location.assign("/review")),
});
setNow(about.now);
settle();
setInterval(settle, 1000);
follow(refresh);
about.ready = "yes";
