// Improves the controller's pages: a verdict as one types, and signing where the key is.
//
// Every page does without this script. The key chosen is read here and never sent; it is kept
// in this browser only when asked for, as a key that cannot be read back. What is signed is
// the text the page shows (`#draft`), or the batch the page names.

import { isSupported, readKey, sign } from "./sign.js";

const $ = (id) => document.getElementById(id);

document.querySelector("#wrong")?.focus();

// A verdict as one types.

const LIVE_AFTER_MS = 700;

function live(form) {
  const region = $("live");
  const shown = $("live-verdict");
  region.hidden = false;
  let timer = 0;
  let notBefore = 0;
  let running = null;
  let last = "";
  const ask = async () => {
    const typed = new URLSearchParams(new FormData(form));
    typed.set("kind", form.dataset.kind);
    if (typed.toString() === last) return;
    last = typed.toString();
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(form.dataset.judge, { method: "POST", body: typed, signal: running.signal });
      if (answer.status === 200) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        shown.replaceChildren(...page.body.childNodes);
      } else if (answer.status === 429) {
        // As many as the ledger allows, and no more until it says so.
        const seconds = Number(answer.headers.get("Retry-After") ?? 60);
        notBefore = Date.now() + seconds * 1000;
        last = "";
        say(shown, region.dataset.paused);
        later(seconds * 1000);
      }
    } catch (error) {
      if (error.name !== "AbortError") last = "";
    }
  };
  const later = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(ask, Math.max(ms, notBefore - Date.now()));
  };
  form.addEventListener("input", () => later(LIVE_AFTER_MS));
  later(LIVE_AFTER_MS);
}

const judged = document.querySelector("form[data-judge]");
if (judged) live(judged);

// A key kept in this browser.

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("greffe", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("keys");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function kept(mode, use) {
  const db = await database();
  try {
    return await new Promise((resolve, reject) => {
      const request = use(db.transaction("keys", mode).objectStore("keys"));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    db.close();
  }
}

// Signing.

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

function say(where, ...parts) {
  const p = element("p", "");
  p.append(...parts.flatMap((part) => [part, " "]));
  where.replaceChildren(p);
  return p;
}

async function signing(section) {
  const words = section.dataset;
  const outcome = $("outcome");
  if (!(await isSupported())) {
    say(outcome, words.wUnsupported);
    return;
  }
  $("elsewhere").open = false;
  $("in-browser").hidden = false;
  const opened = performance.now();
  const slot = `${words.origin} ${words.party}`;
  let signer = null;
  // Bytes whose outcome is not known are sent again as they are: recorded once at most.
  let signed = null;

  const showKept = () => {
    $("remembered").hidden = !signer;
    if (signer) $("remembered").firstElementChild.textContent = `${words.wRemembered} ${signer.kid}`;
  };
  try {
    signer = (await kept("readonly", (keys) => keys.get(slot))) ?? null;
  } catch {
    $("remember").disabled = true;
  }
  showKept();
  $("forget").addEventListener("click", async () => {
    await kept("readwrite", (keys) => keys.delete(slot));
    signer = null;
    showKept();
  });

  const chosen = async () => {
    const [file] = $("key").files;
    if (!file) return signer;
    const read = await readKey(await file.text());
    if ($("remember").checked) await kept("readwrite", (keys) => keys.put(read, slot));
    return read;
  };

  const makeSigned = async (by) => {
    const text = words.draft ? await (await fetch(words.draft)).text() : $("draft").textContent;
    // The ledger's clock, not this machine's, which may be wrong.
    const iat = Number(words.now) + Math.floor((performance.now() - opened) / 1000);
    return sign({ draft: JSON.parse(text), concealed: JSON.parse(words.concealed), aud: words.origin, iat, signer: by });
  };

  const refusedBy = (problem) => {
    say(outcome, element("strong", words.wRefused), problem.detail ?? "", element("a", problem.code ?? "", { href: `/problems/${problem.code}` })).className = "error";
    for (const { pointer, detail } of problem.errors ?? []) {
      const field = [...document.querySelectorAll("[data-pointer]")].find(
        (shown) => pointer === shown.dataset.pointer || pointer.startsWith(`${shown.dataset.pointer}/`),
      );
      if (field) field.append(element("p", detail, { class: "error" }));
      else if (detail !== problem.detail) outcome.append(element("p", `${pointer} : ${detail}`, { class: "error" }));
    }
  };

  const recorded = (text) => {
    const { receipts } = JSON.parse(text);
    const first = receipts[0].position;
    const last = receipts[receipts.length - 1].position;
    // As `greffe file` keeps them, and `greffe receipt check` reads one.
    const file = new Blob([JSON.stringify(receipts)], { type: "application/json" });
    const name = first === last ? `receipt-${first}.json` : `receipts-${first}-${last}.json`;
    const where = first === last ? `${first}` : `${first} – ${last}`;
    const link = element("a", `${words.wReceipt} (${name})`, { href: URL.createObjectURL(file), download: name, id: "receipt" });
    say(outcome, element("strong", words.wDone), `${words.wEntries} ${where}.`, link);
    const verdicts = new Map();
    for (const { verdict } of receipts) if (verdict) verdicts.set(verdict.verdict, (verdicts.get(verdict.verdict) ?? 0) + 1);
    if (verdicts.size > 0) outcome.append(element("p", [...verdicts].map(([code, n]) => (n > 1 ? `${n} × ${code}` : code)).join(", ")));
    $("in-browser").hidden = true;
    $("elsewhere").hidden = true;
  };

  $("sign-and-file").addEventListener("click", async ({ currentTarget: button }) => {
    for (const told of document.querySelectorAll("[data-pointer] .error")) told.remove();
    button.disabled = true;
    try {
      if (!signed) {
        let by;
        try {
          by = await chosen();
        } catch {
          say(outcome, words.wKey).className = "error";
          return;
        }
        if (!by) {
          say(outcome, words.wFirst).className = "error";
          return;
        }
        say(outcome, words.wBusy);
        signed = await makeSigned(by);
      }
      const answer = await fetch(`/v1/filings?lang=${words.lang}`, {
        method: "POST",
        headers: { "Content-Type": "application/sd-jwt" },
        body: signed,
      });
      const text = await answer.text();
      if (answer.status === 201) {
        recorded(text);
      } else if (answer.status >= 500) {
        say(outcome, JSON.parse(text).detail, words.wAgain).className = "error";
      } else {
        signed = null;
        refusedBy(JSON.parse(text));
      }
    } catch {
      say(outcome, words.wUnreachable, words.wAgain).className = "error";
    } finally {
      button.disabled = false;
      outcome.focus();
    }
  });
}

const section = $("signing");
if (section) signing(section);
