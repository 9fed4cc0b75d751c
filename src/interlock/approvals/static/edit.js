// Editing a call's arguments: a form or raw JSON, previewed by the server before it is approved.
// Fields that nobody touched are sent as the JSON they came as, and numbers as they were typed:
// neither passes through a JavaScript number.
import { $, $$, ask, element, paint, setText } from "./common.js";
import { changeRow, settle } from "./call.js";

const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

function fieldJson(field) {
  if (!field.dataset.touched) return field.dataset.json;
  const value = $("[data-value]", field).value;
  switch (field.dataset.kind) {
    case "number":
      return numberJson(field.dataset, value.trim());
    case "choice":
      if (!value) throw new Error("Choose one.");
      return value;
    case "json":
      try {
        JSON.parse(value);
      } catch (wrong) {
        throw new Error(`This must be JSON: ${wrong.message}.`, { cause: wrong });
      }
      return value;
    default:
      checkLength(field.dataset, [...value].length);
      return JSON.stringify(value);
  }
}

const WRITTEN = "This must be a number. Write it as in 1234.5: no spaces, no commas but a point before decimals.";
const GROUPED = /^-?[1-9][0-9]{0,2}\.[0-9]{3}$/; // 1.500: where a point groups, one thousand five hundred

// What the schema asks, said beside the field at once; the server checks all of it again.
function numberJson(asked, value) {
  if (!NUMBER.test(value)) throw new Error(WRITTEN);
  const number = Number(value);
  if (!Number.isFinite(number)) throw new Error("This number is too large.");
  if (/[.eE]/.test(value) && digits(value) !== digits(String(number))) {
    throw new Error(`This has more digits than a number keeps: it would be sent as ${number}.`);
  }
  if (asked.type === "integer" && (value.includes(".") || !Number.isInteger(number))) throw new Error("This must be a whole number.");
  if (GROUPED.test(value) && !GROUPED.test(asked.json)) {
    throw new Error(`Is this ${value.replace(".", "")}, or a little more than ${value.split(".")[0]}? Write ${value.replace(".", "")} or ${value}0.`);
  }
  for (const [bound, wrong, words] of [
    [asked.minimum, (most) => number < most, "at least"],
    [asked.exclusiveminimum, (most) => number <= most, "more than"],
    [asked.maximum, (most) => number > most, "at most"],
    [asked.exclusivemaximum, (most) => number >= most, "less than"],
  ]) {
    if (bound !== undefined && wrong(Number(bound))) throw new Error(`This must be ${words} ${bound}.`);
  }
  return value;
}

// The digits that count: 90.50 and 9.05e1 have the same.
const digits = (text) => text.replace(/[eE].*/, "").replace(/[-.]/g, "").replace(/^0+|0+$/g, "");

function checkLength(asked, length) {
  if (length < Number(asked.minlength ?? 0)) throw new Error(`This needs at least ${asked.minlength} characters.`);
  if (length > Number(asked.maxlength ?? Infinity)) throw new Error(`This may have at most ${asked.maxlength} characters.`);
}

// Show what the server says of an edit beside the field that it names, where it names one.
function beside(detail) {
  for (const field of $$("[data-field]")) {
    const name = JSON.parse(field.dataset.name);
    if (![`: ${name}: `, `: ${name}.`, `\`${name}\``, `"${name}"`, `'${name}'`].some((each) => detail.includes(each))) continue;
    fail(field, detail);
    return $("[data-value]", field).focus();
  }
}

function fail(field, text) {
  const error = $("[data-error]", field);
  error.textContent = text;
  error.hidden = text === "";
  $("[data-value]", field).setAttribute("aria-invalid", String(text !== ""));
}

// A control cannot mark what it holds, so what cannot be seen in it is said beside it.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00AD\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u3164\uFE00-\uFE0F\uFFA0]|[^\S ]/gu;

function unseen(field) {
  const value = $("[data-value]", field).value.replaceAll(/[\n\t]/g, "");
  const points = new Set([...value.matchAll(UNSEEN)].map(([each]) => `U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`));
  const note = $("[data-unseen]", field);
  setText(note, points.size ? `It holds what cannot be seen here: ${[...points].slice(0, 8).join(", ")}.` : "");
}

const sent = (field) => ($("[data-include]", field)?.checked ?? true) && (field.dataset.touched || field.dataset.json);

// The arguments as JSON text; null where a field is wrong.
function composed() {
  const members = [];
  let good = true;
  for (const field of $$("[data-field]")) {
    fail(field, "");
    if (!sent(field)) continue;
    try {
      members.push(`${field.dataset.name}: ${fieldJson(field)}`);
    } catch (wrong) {
      fail(field, wrong.message);
      if (good) $("[data-value]", field).focus();
      good = false;
    }
  }
  return good ? `{\n  ${members.join(",\n  ")}\n}` : null;
}

export function startEditing(path, decide) {
  const raw = $("#raw");
  const error = $("#edit-error");
  const send = $("#edit-send");
  let mode = "form";
  let previewed = null; // the arguments and the digest that the preview showed
  let asked = 0; // previews asked for, and edits since: an answer to an older one is not shown
  let dropping = false; // it was said that going back to the form drops what was changed as JSON

  function stale() {
    previewed = null;
    asked += 1;
    dropping = false;
    send.dataset.good = "no";
    settle();
    $("#preview").hidden = true;
  }

  function edited() {
    error.hidden = true;
    if (mode === "form") return composed();
    try {
      const value = JSON.parse(raw.value);
      if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("it is something else.");
      return raw.value;
    } catch (wrong) {
      error.textContent = `This must be a JSON object: ${wrong.message}`;
      error.hidden = false;
      return null;
    }
  }

  async function preview() {
    const text = edited();
    if (text === null) return;
    const mine = (asked += 1);
    const answer = await ask(`${path}/preview`, { method: "POST", body: `{"edited_args": ${text}}` });
    if (mine !== asked) return;
    if (!answer.ok) {
      stale();
      error.textContent = [answer.said.detail, answer.said.help].filter(Boolean).join(" ");
      error.hidden = false;
      if (mode === "form") beside(answer.said.detail);
      return;
    }
    show(answer.said);
    previewed = { text, digest: answer.said.digest };
    send.dataset.good = answer.said.acceptable ? "yes" : "no";
    settle();
  }

  function show(said) {
    $("#preview-changes").replaceChildren(...said.changes.map(changeRow));
    const { level, stake, consequence } = said.decision;
    const asks = level === "allow" || level === "notify" ? "would let this pass by itself" : level === "approve_dual" ? "asks for two people" : "asks for one person";
    paint($("#preview-level"), said.why || `Policy ${asks}. Stake ${stake}. ${consequence}`);
    $("#preview-level").classList.toggle("warn", Boolean(said.why));
    $("#preview-warnings").replaceChildren(
      ...said.warnings.map((warning) => paint(element("li", "v"), `${warning.where}: ${warning.text}`)),
    );
    paint($("#preview-method"), said.call.method);
    paint($("#preview-url"), said.call.url);
    paint($("#preview-body"), said.call.body.pretty ?? said.call.body.visible);
    $("#preview").hidden = false;
    $("#preview").scrollIntoView({ block: "nearest" });
  }

  for (const field of $$("[data-field]")) {
    unseen(field);
    $("[data-value]", field).addEventListener("input", () => {
      unseen(field);
      field.dataset.touched = "yes";
      const include = $("[data-include]", field);
      if (include) include.checked = true;
      stale();
    });
    $("[data-include]", field)?.addEventListener("change", stale);
  }
  raw.addEventListener("input", stale);
  $("#edit-fields").addEventListener("submit", (event) => event.preventDefault());
  for (const button of $$("[data-editor]")) {
    button.addEventListener("click", () => {
      if (button.dataset.editor === "raw" && mode === "form") {
        const text = composed();
        if (text === null) return;
        raw.value = raw.defaultValue = text;
      }
      if (button.dataset.editor === "form" && mode === "raw" && raw.value !== raw.defaultValue && !dropping) {
        error.textContent = "The form has nothing of what you changed as JSON. Press Form again to drop that.";
        error.hidden = false;
        dropping = true;
        return;
      }
      error.hidden = true;
      if (button.dataset.editor !== mode) stale();
      mode = button.dataset.editor;
      for (const other of $$("[data-editor]")) other.setAttribute("aria-pressed", String(other === button));
      $("#edit-fields").hidden = mode !== "form";
      $("#edit-raw").hidden = mode !== "raw";
    });
  }
  $("#preview-go").addEventListener("click", preview);
  $("#panel-edit").addEventListener("keydown", (event) => {
    const all = event.ctrlKey || event.metaKey;
    if (event.key !== "Enter" || (!all && !event.target.matches("input[data-value]"))) return;
    event.preventDefault();
    if (all && previewed && !send.disabled) send.click();
    else preview();
  });
  send.addEventListener("click", () => {
    if (!previewed) return;
    const extra = `,"edited_args":${previewed.text},"edited_digest":${JSON.stringify(previewed.digest)}`;
    $("#edit-send-error").hidden = true;
    decide("edit", { message: $("#edit-message").value.trim(), extra, editedDigest: previewed.digest }, $("#edit-send-error"));
  });
}
