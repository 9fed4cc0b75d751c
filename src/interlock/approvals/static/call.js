// The call that is looked at: what is known of it, and what may be done with it now.
import { $, $$, ask, element, paint, setNow, setText, storeNow } from "./common.js";

export const about = $("#main").dataset;
export const path = `/v1/approvals/${encodeURIComponent(about.id)}`;
export const page = `/review/${encodeURIComponent(about.id)}`;
export const required = new Set(about.reason.split(" "));
setNow(about.now); // before anything asks whether it is too late

export const now = {
  whole: about.whole === "yes",
  over: about.state !== "held",
  unfolded: false, // whether nothing long is folded any more; see unfold.js
  sending: false,
  leaving: false, // the page is being loaded again
  also: "", // what a decision did beside deciding
  refresh: () => undefined, // ask how the call is; see item.js
  unheard: null, // what says that no answer came to a decision
  judged: about.folded !== "yes", // whether the machine's verdict is open
  wait: () => 0, // ms that the call has to be in sight before it may be approved; see look.js
  seen: () => 0, // ms that it was in sight since the server was told last
  longer: () => undefined, // so many more ms are asked for than the page knew
};

// Why it cannot be approved yet, beside what the server says; empty: it can.
function lacking() {
  if (!now.whole) return "Show everything before you approve";
  if (!now.unfolded) return "Show all of the long text before you approve";
  if (!now.judged) return "Judge it yourself first, then approve";
  return about.why;
}

// Show what may be done now. Called once a second and after everything that changes it.
export function settle() {
  const late = storeNow() >= Number(about.deadline);
  const closed = now.over || late;
  const wait = Math.ceil(now.wait() / 1000);
  const held = !now.whole || !now.unfolded || !now.judged || wait > 0;
  const approve = $("#approve");
  if (approve) {
    approve.disabled = held || about.approve !== "yes" || closed;
    setText($("#approve-wait"), wait > 0 && about.approve === "yes" && !closed ? `in ${wait} s` : "");
  }
  for (const button of $$("#actions [data-open]")) if (button !== approve) button.disabled = closed;
  for (const button of $$("[data-send]")) {
    button.disabled = closed || now.sending || (button.dataset.send === "approve" && wait > 0);
  }
  const send = $("#edit-send");
  if (send) {
    send.disabled = send.dataset.good !== "yes" || closed || now.sending || !now.unfolded || !now.judged || wait > 0;
    setText($("#edit-wait"), wait > 0 ? `in ${wait} s` : "");
  }
  if (late && !now.over) finish("The time to decide is over; the call will not be sent.");
  if ($("#why-not")) setText($("#why-not"), lacking());
}

// "Nobody has decided yet" is true only until somebody has.
export function forgetNobody() {
  $("#nobody")?.remove();
}

export function tell(text) {
  const banner = $("#banner");
  banner.hidden = !text;
  if (banner.dataset.told === text) return; // whoever hears the page hears it once
  banner.dataset.told = text;
  paint(banner, text);
}

export function finish(text) {
  forgetNobody();
  now.over = true;
  if (text) tell(text);
  $("#after").hidden = false;
  paint($("#after-text"), text || "Decided");
  for (const part of $$("#actions, #idle, .panel, #desk-tools, #fold")) part.hidden = true;
  for (const button of $$("#panel-edit button:not([data-close])")) button.disabled = true;
  if (document.body.classList.contains("edits")) {
    paint($("#edit-error"), text); // the banner may be out of sight
    $("#edit-error").hidden = false;
  }
  nextCall();
}

// after a decision ---------------------------------------------------------------------------
// The page is loaded again, so that all of it is what the server says now; what has to be told is
// kept on the way: `text`, what a decision did `also`, and what somebody had `typed`. Of a call that
// waits again, or that others edited since, only what was typed is shown: the page says where it stands.

const SAID = "interlock-decided";

export function again(told) {
  if (now.leaving) return; // the first word counts: what moves meanwhile is on the page to come
  now.over = now.leaving = true;
  sessionStorage.setItem(SAID, JSON.stringify({ id: about.id, digest: about.digest, ...told }));
  location.replace(page);
}

// Whoever goes elsewhere is not called back by it; whoever is still here after that stayed.
const GOING = 10_000; // ms
addEventListener("beforeunload", () => {
  if (now.leaving) return;
  now.leaving = true;
  setTimeout(() => (now.leaving = false), GOING);
});
addEventListener("pageshow", () => (now.leaving = false));

// Tell what was kept; the server's newer word on how it ended takes the place of an older one.
export function toldBefore() {
  const kept = JSON.parse(sessionStorage.getItem(SAID) ?? "null");
  sessionStorage.removeItem(SAID);
  if (kept?.id !== about.id) return;
  if (kept.typed) {
    $("#typed").hidden = false;
    paint($("#typed blockquote"), kept.typed);
  }
  const held = about.state === "held";
  if (held && (!kept.text || kept.digest !== about.digest)) return;
  now.also = kept.also ?? "";
  const practice = $("#practice");
  const ended = held ? kept.text : $("#banner").textContent;
  finish(practice.hidden ? faster(ended, kept.overtaken) + now.also : "");
  if (practice.hidden) return;
  practice.scrollIntoView({ block: "nearest" });
  practice.focus({ preventScroll: true });
}

// Somebody else decided first: say so, and what became of what was `meant`.
function faster(ended, meant) {
  if (!meant) return ended;
  const [who, how] = ended.split(/: (.*)/s);
  if (who === about.me) return ended;
  return `${how ? `${who} was faster: ${how}` : ended}. Your ${meant} did not count.`;
}

// What somebody had written when the call was decided by others.
export function typed() {
  return $$(".panel textarea, #edit-message").map((each) => each.value.trim()).filter(Boolean).join("\n");
}

async function nextCall() {
  const { ok, said } = await ask("/v1/approvals?limit=2");
  const next = ok && said.items.find((card) => card.id !== about.id);
  $("#after-next").hidden = !next;
  if (next) $("#after-next").href = `/review/${encodeURIComponent(next.id)}`;
}

export async function neighbour(step) {
  const { ok, said } = await ask("/v1/approvals?limit=200");
  if (!ok) return;
  const at = said.items.findIndex((card) => card.id === about.id);
  const next = said.items[at + step];
  if (next) location.assign(`/review/${encodeURIComponent(next.id)}`);
}

// Send one of the small requests about this call: who looks, who is asked, who may decide now.
export function post(what, body) {
  const headers = { "Interlock-CSRF": about.csrf };
  return ask(`${path}/${what}`, { method: "POST", headers, body: JSON.stringify(body) });
}

const side = (name, text, none) => (text ? paint(element("td", `v pre ${name}`), text) : element("td", `${name} nothing`, text === "" ? "empty" : none));

export function changeRow(change) {
  const row = element("tr");
  const name = paint(element("th", "v"), change.where);
  name.scope = "row";
  row.append(
    name,
    side("before", change.before, "not there"),
    side("after", change.after, "left out"),
  );
  return row;
}
