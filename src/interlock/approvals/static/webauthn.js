// Security keys and passkeys: add one, remove one, sign a decision. Each function throws an Error
// whose message is for the person; nothing was decided or changed then.

const MINE = "/v1/me/credentials";

// base64url, as the API writes bytes ----------------------------------------------------------

export function fromBase64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

export function toBase64url(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

// what people call ----------------------------------------------------------------------------

// Add a security key or passkey; `label` is what the person calls it. Returns what is kept of it.
export async function enrol(label) {
  const csrf = await token();
  const wanted = await post(`${MINE}/options`, csrf, { purpose: "add" });
  here(wanted.origin);
  const confirmed = wanted.confirm ? await signed(wanted.confirm) : undefined;
  const credential = await made(wanted.create);
  return post(MINE, csrf, { challenge_id: wanted.challenge_id, credential, label, confirmed });
}

// Remove the one with this id, confirmed with any that the person has.
export async function remove(id) {
  const csrf = await token();
  const wanted = await post(`${MINE}/options`, csrf, { purpose: "remove", id });
  here(wanted.origin);
  const confirmed = await signed(wanted.confirm);
  return post(`${MINE}/${encodeURIComponent(id)}`, csrf, { confirmed }, "DELETE");
}

// Return the `step_up` member of a decision on the call at `path` (`/v1/approvals/ID`).
// `type`: approve or edit; `digest`, `version` and `csrf`: of the item that was looked at;
// `editedDigest`: with edit, `digest` of the preview.
export async function signDecision(path, { type, digest, editedDigest, version, csrf }) {
  const asked = { type, digest, version: Number(version) };
  if (type === "edit") asked.edited_digest = editedDigest;
  const wanted = await post(`${path}/step-up`, csrf, asked);
  here(wanted.origin);
  return signed(wanted);
}

// the ceremonies ------------------------------------------------------------------------------

async function signed({ challenge_id, options }) {
  const publicKey = {
    ...options,
    challenge: fromBase64url(options.challenge),
    allowCredentials: options.allowCredentials.map(described),
  };
  const { id, type, response } = await confirmed(() => navigator.credentials.get({ publicKey }));
  const said = {
    clientDataJSON: toBase64url(response.clientDataJSON),
    authenticatorData: toBase64url(response.authenticatorData),
    signature: toBase64url(response.signature),
  };
  if (response.userHandle?.byteLength) said.userHandle = toBase64url(response.userHandle);
  return { challenge_id, credential: { id, type, response: said } };
}

async function made(options) {
  const publicKey = {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user.id) },
    excludeCredentials: options.excludeCredentials.map(described),
  };
  const { id, type, response } = await confirmed(() => navigator.credentials.create({ publicKey }));
  const said = {
    clientDataJSON: toBase64url(response.clientDataJSON),
    attestationObject: toBase64url(response.attestationObject),
    transports: response.getTransports?.() ?? [],
  };
  return { id, type, response: said };
}

const described = (credential) => ({ ...credential, id: fromBase64url(credential.id) });

// An authenticator signs for the page's own domain only, and never for an IP address.
function here(origin) {
  if (location.origin !== origin) throw new Error(`Your browser signs here only at ${origin}: open the page there.`);
  if (!navigator.credentials?.get) throw new Error("This browser knows no security keys and passkeys.");
}

const REFUSED = {
  NotAllowedError: "It was not confirmed, or took too long. Try again.",
  InvalidStateError: "This one has been added before.",
  SecurityError: "Your browser does not sign for this address.",
  NotSupportedError: "This security key is of a kind that cannot be used here.",
};

async function confirmed(ask) {
  try {
    return await ask();
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? `The browser refused: ${error.name}.`, { cause: error });
  }
}

// the API -------------------------------------------------------------------------------------

const token = async () => (await sent(MINE, {})).csrf;

function post(path, csrf, body, method = "POST") {
  const headers = { "Content-Type": "application/json", "Interlock-CSRF": csrf };
  return sent(path, { method, headers, body: JSON.stringify(body) });
}

async function sent(path, options) {
  const response = await fetch(path, { credentials: "same-origin", ...options }).catch(() => null);
  if (!response) throw new Error("Interlock does not answer.");
  const said = await response.json().catch(() => ({ detail: `Status ${response.status}.` }));
  if (!response.ok) throw new Error([said.detail, said.help].filter(Boolean).join(" "));
  return said;
}
