// One call: show all of it, keep it current, decide it.
import { $, $$, ask, element, help, keys, oneAtATime, setNow, setText } from "./common.js";
import { about, again, finish, forgetNobody, neighbour, now, page, path, settle, tell, toldBefore, typed } from "./call.js";
import { close, decide, open, startDeciding } from "./deciding.js";
import { startEditing } from "./edit.js";
import { showAssigned, startHanding } from "./handing.js";
import { follow } from "./live.js";
import { present, startLooking } from "./look.js";
import { startUndoing } from "./undoing.js";
import { startUnfolding } from "./unfold.js";
import { startFolding } from "./verdict.js";
import { showAll } from "./whole.js";

// staying current ----------------------------------------------------------------------------

function changed(said) {
  if (said.card.state !== "held") return ended(said.card.outcome);
  if (said.card.digest === about.digest) return voted(said);
  finish("The call was edited by somebody else. ");
  const again = element("a", "", "Look at what it is now");
  again.href = page;
  $("#banner").append(again);
}

// What somebody is editing stays readable; else the page shows what became of it.
function ended(outcome) {
  if (document.body.classList.contains("edits")) return finish(outcome);
  again({ text: outcome, typed: typed() });
}

// A colleague's vote does not change what is looked at; the rest of the page stays as it is.
function voted(said) {
  about.version = said.card.version;
  const last = said.votes.at(-1);
  if (last) {
    forgetNobody();
    tell(`${last.by} approved: ${said.card.votes} of ${said.card.quorum}. ${said.may.why}`);
  }
  allowed(said);
}

// Nothing has moved: not by a decision either of which no answer came.
function same(said) {
  if (now.unheard) setText(now.unheard, "Interlock answers again, and has not heard you: send it again.");
  now.unheard = null;
  allowed(said);
}

function allowed(said) {
  about.approve = said.may.approve ? "yes" : "no";
  about.why = said.stopped && said.may.reject ? "Its agent is stopped" : said.may.why;
  stopped(said.stopped);
  settle();
}

let toldStopped = false; // the banner says who stopped it

function stopped(by) {
  const note = $(".stop-note");
  const noted = note && by && $("time", note).dataset.since === String(by.at);
  if (note) note.hidden = !noted;
  if (by && !noted) tell(`${by.by} stopped ${by.everybody ? "all agents" : "this agent"}. ${by.reason}`);
  else if (toldStopped) tell("");
  toldStopped = Boolean(by && !noted);
}

// While a decision is under way, its answer tells what became of the call.
const refresh = oneAtATime(async () => {
  if (now.sending || now.leaving) return;
  const { ok, said } = await ask(path);
  if (!ok || now.sending || now.leaving) return;
  setNow(said.now);
  const waiting = $("#waiting");
  if (waiting && said.card.caller_waiting !== null) {
    setText(waiting, said.card.caller_waiting ? "agent is waiting" : "agent has hung up; it may ask again");
  }
  if (!now.over) {
    present(said.looking);
    showAssigned(said.assigned);
    if (said.card.version === Number(about.version)) return same(said);
  }
  if (said.card.version === Number(about.version)) return;
  if (!now.over) return changed(said);
  if (document.body.classList.contains("edits")) return;
  again(said.card.state === "held" ? { typed: typed() } : { text: said.card.outcome, also: now.also, typed: typed() });
});

// An edit needs what is hidden: the key then leads to the button that reveals it.
function edit() {
  if ($("#edit-later") && !now.over) $("#reveal")?.focus();
  else open("edit");
}

function approve() {
  if ($("#approve") && !$("#approve").disabled) open("approve");
  else if ($("#fold") && !$("#fold").hidden) $("[data-judge]").focus();
}

now.refresh = refresh;
for (const button of $$("[data-show]")) {
  button.addEventListener("click", () => {
    for (const other of $$("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    for (const body of $$("[data-body]")) body.hidden = body.dataset.body !== button.dataset.show;
  });
}
// what was revealed came as the answer to a form: loading the page again hides it
if (location.pathname !== page) history.replaceState(null, "", page);
$("#show-all")?.addEventListener("click", () => showAll(changed));
toldBefore();
startDeciding();
if ($("#panel-edit")) startEditing(path, decide);
startUnfolding();
startFolding();
startLooking(refresh);
startHanding();
startUndoing();
keys({
  a: approve,
  e: edit,
  r: () => open("reject"),
  j: () => neighbour(1),
  k: () => neighbour(-1),
  "?": help,
  Escape: () => (close() ? undefined : location.assign("/review")),
});
settle();
setInterval(settle, 1000);
const title = `${$("h1").textContent} · Interlock`;
follow((tick) => {
  document.title = `(${tick.total}) ${title}`;
  refresh();
});
document.addEventListener("visibilitychange", () => (document.title = title)); // nobody counts for it now
about.ready = "yes";
