// Deciding: the panels in the dock, what they need, and the one request that decides.
import { $, $$, ask, setText } from "./common.js";
import { about, again, now, path, required, settle, typed } from "./call.js";
import { signDecision } from "./webauthn.js";

// Send a decision. `extra` is raw JSON members, so that numbers stay as they were typed;
// `editedDigest` goes with an edit.
export async function decide(type, given, error) {
  if (now.sending || now.over) return;
  now.sending = true;
  now.unheard = null;
  settle();
  try {
    let answer = await sent(type, given);
    if (is(answer, "step-up-needed") && about.stepUp !== "yes") {
      about.stepUp = "yes"; // policy began to ask after the page was loaded
      answer = await sent(type, given);
    }
    now.sending = false;
    if (is(answer, "too-soon")) now.longer(answer.said.seconds * 1000);
    if (answer.status === 0) {
      answer.said.help = "Whether it heard you is shown here once it does.";
      now.unheard = error;
    }
    if (answer.ok) return decided(answer.said, given.editedDigest ?? about.digest);
    refused(answer.said, error, type);
    now.refresh(); // what came while it was under way was not shown
  } catch (wrong) {
    now.sending = false;
    refused({ detail: wrong.message }, error, type);
  }
}

async function sent(type, { message = "", code = "", extra = "", editedDigest }) {
  const signed = await stepUp(type, editedDigest);
  const said = { type, digest: about.digest, message, reason_code: code, visible_ms: now.seen(), ...signed };
  const body = JSON.stringify(said).slice(0, -1) + extra + "}";
  const headers = { "If-Match": `"${about.version}"`, "Interlock-CSRF": about.csrf };
  return ask(`${path}/decision`, { method: "POST", headers, body });
}

const is = ({ said }, kind) => said.type === `urn:interlock:problem:${kind}`;

// Where policy asks for it, the person's passkey or security key signs this very decision.
async function stepUp(type, editedDigest) {
  if (about.stepUp !== "yes" || !["approve", "edit"].includes(type)) return {};
  const { digest, version, csrf } = about;
  return { step_up: await signDecision(path, { type, digest, editedDigest, version, csrf }) };
}

// `digest`: of the call as it is now.
function decided(said, digest) {
  const also = said.replaced_grant ? ". The grant took the place of an earlier one" : "";
  const voted = `Recorded: ${said.votes} of ${said.quorum} approved.`;
  again({ text: said.state === "held" ? voted : said.said, also, digest });
}

const MEANT = { approve: "approval", edit: "edit", reject: "rejection", respond: "answer" };

function refused(said, error, type) {
  const current = said.current;
  if (current && current.state !== "held") {
    return again({ text: current.said, overtaken: MEANT[type], typed: typed() });
  }
  error.textContent = [said.detail, said.help].filter(Boolean).join(" ");
  error.hidden = false;
  settle();
}

// panels -------------------------------------------------------------------------------------

export function open(name) {
  const panel = $(`#panel-${name}`);
  const button = $(`[data-open=${name}]`);
  if (!panel || !button || button.disabled || now.over) return;
  close();
  panel.hidden = false;
  document.body.classList.toggle("edits", name === "edit");
  if (name === "edit") panel.scrollIntoView({ block: "start" });
  const plain = name === "approve" && !required.has("approve");
  const first = plain ? "[data-send]" : name === "edit" ? "[data-value]:enabled" : "input, textarea";
  $(first, panel)?.focus({ preventScroll: name === "edit" });
}

// Close what is open; the focus goes back to the button that opened it.
export function close() {
  document.body.classList.remove("edits");
  const inside = document.activeElement?.closest(".panel, #panel-edit");
  let closed = false;
  for (const panel of $$(".panel, #panel-edit")) {
    closed ||= !panel.hidden;
    panel.hidden = true;
  }
  if (inside) $(`[data-open=${inside.id.replace("panel-", "")}]`)?.focus({ preventScroll: true });
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

export function startDeciding() {
  for (const button of $$("[data-open]")) button.addEventListener("click", () => open(button.dataset.open));
  for (const button of $$("[data-close]")) button.addEventListener("click", close);
  for (const form of $$(".panel")) {
    form.addEventListener("submit", submit);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }
  $("#grant-on")?.addEventListener("change", (event) => {
    $("#grant-more").hidden = !event.target.checked;
    setText($("[data-send=approve]"), event.target.checked ? "Approve, and do not ask again for this" : "Approve: send it as shown");
  });
}
