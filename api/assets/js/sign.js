// A filing signed by its author's own key: the SD-JWT (RFC 9901) of docs/format.md §1.
//
// Pure: no page, no network, no storage, so that any program can run it. Personal values are
// concealed by salted digests before anything is signed. The private key is read from the
// PKCS#8 PEM of `greffe keygen` into a key that this code cannot read back.

const TYP = "greffe-filing+sd-jwt";
const SALT_BYTES = 16;
// DER of an Ed25519 private key (RFC 8410), up to its 32 bytes of seed.
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

const utf8 = (text) => new TextEncoder().encode(text);

/** Unpadded base64url of bytes. */
export function base64url(bytes) {
  let binary = "";
  for (const byte of new Uint8Array(bytes)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function sha256(text) {
  return base64url(await crypto.subtle.digest("SHA-256", utf8(text)));
}

/** RFC 8785 text of a value. Numbers are integers here, so the language's own texts are right. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new RangeError(`not an integer: ${value}`);
  return JSON.stringify(value);
}

/** RFC 7638 thumbprint of the public key whose `x` this is. */
export function thumbprint(x) {
  return sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
}

/** Whether Ed25519 can be used here at all: an old browser or a page without HTTPS cannot. */
export async function isSupported() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads a PKCS#8 PEM, version 1 or 2. Gives `{key, kid, x}`; the key cannot be exported.
 * Throws a `TypeError` when the text is no Ed25519 private key.
 */
export async function readKey(pem) {
  const inside = /^\s*-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/.exec(pem);
  if (!inside) throw new TypeError("not a PKCS#8 PEM");
  const der = Uint8Array.from(atob(inside[1].replace(/\s/g, "")), (c) => c.charCodeAt(0));
  // The outer length and the version differ between versions; the rest does not.
  const isEd25519 = der.length >= 48 && der[0] === 0x30 && PKCS8.every((byte, i) => i < 5 || der[i] === byte);
  if (!isEd25519) throw new TypeError("not an Ed25519 key");
  const v1 = Uint8Array.from([...PKCS8, ...der.slice(16, 48)]);
  der.fill(0);
  const algorithm = { name: "Ed25519" };
  // The public half is only to be had from a key that may be exported: one that is dropped.
  const { x } = await crypto.subtle.exportKey("jwk", await crypto.subtle.importKey("pkcs8", v1, algorithm, true, ["sign"]));
  const key = await crypto.subtle.importKey("pkcs8", v1, algorithm, false, ["sign"]);
  v1.fill(0);
  return { key, kid: await thumbprint(x), x };
}

function isConcealed(path, patterns) {
  return patterns.some((pattern) => pattern.length === path.length && pattern.every((step, i) => step === "*" || step === path[i]));
}

async function disclose(salt, name, value, out) {
  const array = name === null ? [salt(), value] : [salt(), name, value];
  const encoded = base64url(utf8(canonical(array)));
  out.push(encoded);
  return sha256(encoded);
}

async function concealBelow(value, path, patterns, salt, out) {
  if (Array.isArray(value)) {
    const kept = [];
    for (const [i, element] of value.entries()) {
      const at = [...path, String(i)];
      kept.push(
        isConcealed(at, patterns)
          ? { "...": await disclose(salt, null, element, out) }
          : await concealBelow(element, at, patterns, salt, out),
      );
    }
    return kept;
  }
  if (value === null || typeof value !== "object") return value;
  const kept = {};
  const digests = [];
  for (const name of Object.keys(value).sort()) {
    const at = [...path, name];
    if (isConcealed(at, patterns)) digests.push(await disclose(salt, name, value[name], out));
    else kept[name] = await concealBelow(value[name], at, patterns, salt, out);
  }
  // Sorted, so that their order tells nothing of the members' names.
  if (digests.length > 0) kept._sd = digests.sort();
  return kept;
}

/**
 * Replaces the values at `pointers` (JSON Pointers into a body, `*` for any element) by salted
 * digests. Gives `{body, disclosures}`. `salt`: a fresh base64url text at each call.
 */
export async function conceal(body, pointers, salt = freshSalt) {
  const patterns = pointers.map((pointer) => pointer.split("/").slice(1));
  const disclosures = [];
  const one = (value) => concealBelow(value, [], patterns, salt, disclosures);
  if (!Array.isArray(body)) return { body: await one(body), disclosures };
  const bodies = [];
  for (const value of body) bodies.push(await one(value));
  return { body: bodies, disclosures };
}

function freshSalt() {
  return base64url(crypto.getRandomValues(new Uint8Array(SALT_BYTES)));
}

/**
 * The compact form of a filing, signed.
 *
 * `draft`: `{iss, kind, at?, evidence, reference?, body}`, personal values in clear.
 * `concealed`: the kind's pointers (`GET /v1/vocabulary`). `aud`: the ledger's origin.
 * `iat`: seconds since 1970. `signer`: what `readKey` gave.
 */
export async function sign({ draft, concealed, aud, iat, signer, jti = freshSalt(), salt = freshSalt }) {
  const { body, disclosures } = await conceal(draft.body, concealed, salt);
  const header = { alg: "EdDSA", kid: signer.kid, typ: TYP };
  const payload = { ...draft, body, aud, iat, jti, _sd_alg: "sha-256" };
  const input = [header, payload].map((part) => base64url(utf8(canonical(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "Ed25519" }, signer.key, utf8(input));
  return [`${input}.${base64url(signature)}`, ...disclosures, ""].join("~");
}
