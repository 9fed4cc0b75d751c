// Deciding several calls at once: only those that are listed, each by its own digest, each with a
// verdict of its own. All may be rejected so; policy says which ones may be approved.
import { $, $$, ask, element, paint, setText } from "./common.js";

const MOST = 50;
let cards = null;
let refresh = () => undefined;
let last = null; // the card that was picked last, from which Shift reaches
let type = "approve";
let listed = []; // what the dialog shows, and nothing else is sent

const boxes = () => $$("[data-pick]:checked", cards);
const approvable = (item) => item.hasAttribute("data-together") && !item.hasAttribute("data-stopped");

export function pick(item) {
  const box = item && $("[data-pick]", item);
  if (!box || $(".pick", item).hidden) return;
  box.checked = !box.checked && boxes().length < MOST;
  last = item;
  picked();
}

export function unpick(item) {
  $("[data-pick]", item).checked = false;
}

// With Shift, all that is shown between the one picked before and this one.
function reach(item) {
  const all = $$(".card", cards);
  const [from, to] = [all.indexOf(last), all.indexOf(item)].sort((one, two) => one - two);
  if (from < 0) return;
  for (const each of all.slice(from, to + 1)) {
    if (!$(".pick", each).hidden && boxes().length < MOST) $("[data-pick]", each).checked = true;
  }
}

// Show what is picked, in the bar at the bottom.
export function picked() {
  const count = boxes().length;
  const bar = $("#bar");
  bar.hidden = count === 0;
  document.body.classList.toggle("picks", count > 0);
  const alone = boxes().filter((box) => !approvable(box.closest(".card"))).length;
  const said = count === MOST ? `${MOST} selected, as many as go at once` : `${count} selected`;
  setText($("#bar-count"), alone ? `${said}; ${alone === count ? "each is" : `${alone} ${alone === 1 ? "is" : "are each"}`} approved only by itself` : said);
  setText($("[data-batch=approve]"), `Approve ${count} listed`);
  $("[data-batch=approve]").disabled = alone > 0;
}

function open(what) {
  type = what;
  listed = boxes().map((box) => {
    const item = box.closest(".card");
    const { id, version, digest, csrf } = item.dataset;
    return { row: row(item), sent: { id, version: Number(version), digest, csrf } };
  });
  setText($("#batch-title"), `${type === "approve" ? "Approve" : "Reject"} ${listed.length === 1 ? "this call" : `these ${listed.length} calls`}`);
  $("#batch-list").replaceChildren(...listed.map(({ row }) => row));
  $("#batch-reasons").hidden = type === "approve";
  setText($("#batch-label"), type === "approve" ? "Note (optional, kept in the record)" : "In your words (the agents read this)");
  const send = $("#batch-send");
  send.className = `button ${type === "approve" ? "approve" : "filled"}`;
  send.hidden = false;
  setText(send, type === "approve" ? `Approve ${listed.length}: send as listed` : `Reject ${listed.length}: never send`);
  setText($("#batch-close"), "Cancel");
  $("#batch .error").hidden = true;
  $("#batch-message").value = "";
  $("#batch-form").classList.remove("sent");
  $("#batch").showModal();
  send.focus();
}

// What the card says, node by node: its marks for what cannot be seen stay.
function row(item) {
  const line = element("li");
  const top = element("p");
  top.append(copy(item, "title", "b"), " ", element("code", "muted", item.dataset.id.slice(0, 12)));
  const dest = element("p", "dest");
  dest.append(copy(item, "method", "b"), " ", copy(item, "destination", "span"));
  line.append(top, dest, copy(item, "gist", "p"), element("p", "verdict"));
  return line;
}

function copy(item, field, name) {
  const made = element(name, "v");
  made.append(...[...$(`[data-f=${field}]`, item).cloneNode(true).childNodes]);
  return made;
}

async function send(event) {
  event.preventDefault();
  const chosen = $("input[name=reason]:checked", $("#batch"));
  const message = $("#batch-message").value.trim() || (type === "reject" && chosen ? chosen.dataset.text : "");
  const error = $("#batch .error");
  error.hidden = true;
  if (type === "reject" && !message) {
    setText(error, "Give a reason.");
    error.hidden = false;
    return;
  }
  $("#batch-send").disabled = true;
  const code = type === "reject" && chosen ? chosen.value : "";
  const body = JSON.stringify({ type, message, reason_code: code, items: listed.map((each) => each.sent) });
  const { ok, said } = await ask("/v1/approvals/decisions", { method: "POST", body });
  $("#batch-send").disabled = false;
  if (!ok) {
    setText(error, [said.detail, said.help].filter(Boolean).join(" "));
    error.hidden = false;
    return;
  }
  told(said.items);
}

function told(items) {
  items.forEach((each, at) => {
    const verdict = $(".verdict", listed[at].row);
    verdict.classList.toggle("bad", each.status !== 200);
    paint(verdict, each.status === 200 ? each.said : each.detail);
  });
  const good = items.filter((each) => each.status === 200).length;
  setText($("#batch-title"), `${good} of ${items.length} ${type === "approve" ? "approved" : "rejected"}`);
  $("#batch-form").classList.add("sent");
  $("#batch-send").hidden = true;
  setText($("#batch-close"), "Close");
  $("#batch-close").focus();
  clear();
  refresh();
}

function clear() {
  for (const box of boxes()) box.checked = false;
  picked();
}

export function startBatch(list, afterwards) {
  cards = list;
  refresh = afterwards;
  list.addEventListener("click", (event) => {
    const box = event.target.closest("[data-pick]");
    if (!box) return;
    const item = box.closest(".card");
    if (box.checked && boxes().length > MOST) box.checked = false;
    if (event.shiftKey && box.checked && last) reach(item);
    last = item;
    picked();
  });
  for (const button of $$("[data-batch]")) button.addEventListener("click", () => open(button.dataset.batch));
  $("#bar-clear").addEventListener("click", clear);
  $("#batch-close").addEventListener("click", () => $("#batch").close());
  $("#batch-form").addEventListener("submit", send);
  picked();
}
