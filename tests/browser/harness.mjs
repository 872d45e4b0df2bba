// A reader in Chromium: what every journey starts from, and what it may never see.
//
// A journey is `await journey(async (reader) => …)`: it fails, and the program ends with 1, on
// the first claim that does not hold, and also when any page logged an error, broke its own
// security policy, or asked another origin for anything. Waits are for conditions, never for a
// length of time. Screenshots go to the directory of GREFFE_SCREENSHOTS and are never compared;
// those of the user guide also to the directory of GREFFE_GUIDE_IMAGES, where that is set.
//
// The first argument of every journey is the address of the service; `--no-scripts` runs it
// with scripts off. `--programs DIRECTORY` is where our programs are, `--data DIRECTORY` where
// the ledger served is: what a reader takes away is checked by them, outside the browser.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { chromium } from 'playwright-core';

export { assert };

const arguments_ = process.argv.slice(2);

/** Address of the service, without a slash at its end. */
export const service = (arguments_.find((a) => a.startsWith('http')) ?? '').replace(/\/$/, '');

/** Whether pages may run scripts. */
export const scripts = !arguments_.includes('--no-scripts');

/** The value after `--name`, if it was given. */
export function argument(name) {
  const at = arguments_.indexOf(`--${name}`);
  return at < 0 ? undefined : arguments_[at + 1];
}

/** Longest wait for a condition, in milliseconds: for a machine that does much else. */
const PATIENCE_MS = 60_000;

const screenshots = process.env.GREFFE_SCREENSHOTS;
const guide = process.env.GREFFE_GUIDE_IMAGES;
const MAX_GUIDE_IMAGE_BYTES = 150_000;

/** Files that readers take away; gone when the journey ends. */
let files;

/** Directory of the ledger that is served. */
export const data = argument('data');

/** Runs one of our programs to its end: `{status, stdout, stderr}`. */
export function run(program, ...args) {
  const { error, ...ended } = spawnSync(join(argument('programs'), program), args, {
    encoding: 'utf8',
  });
  if (error) throw error;
  return ended;
}

/** Writes a file for a reader to choose, and gives its path. */
export function file(name, content) {
  const path = join(files, name);
  writeFileSync(path, content);
  return path;
}

/** Entries in the ledger now. */
export async function size() {
  return (await (await fetch(`${service}/v1/head`)).json()).size;
}

/** The whole ledger, exported, is accepted by the verifier, which shares no state with it. */
export function verifyLedger() {
  const whole = join(files, 'whole.ndjson');
  const exported = run('greffe', 'export', '--data', data, '--out', whole);
  assert.equal(exported.status, 0, exported.stderr);
  verify(whole);
}

/** What was downloaded is accepted by the verifier. Gives what it says. */
export function verify(path) {
  const said = run('greffe-verify', path, '--trust', join(data, 'trust.json'));
  assert.equal(said.status, 0, `${basename(path)}: ${said.stdout}${said.stderr}`);
  return said.stdout;
}

/** Runs a journey and ends the program: 0 when all of it held. */
export async function journey(walk) {
  const browser = await chromium.launch({
    executablePath: process.env.GREFFE_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    // Playwright adds its own `--headless`; the rest keeps the browser from asking anybody
    // anything by itself.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    env: { ...process.env, LANGUAGE: 'fr', LANG: 'fr_FR.UTF-8' },
  });
  files = mkdtempSync(join(tmpdir(), 'greffe-journey-'));
  try {
    await walk({ browser, open: (options) => open(browser, options) });
  } catch (error) {
    console.error(error.stack ?? String(error));
    process.exitCode = 1;
  } finally {
    await browser.close();
    rmSync(files, { recursive: true });
  }
}

/**
 * A reader of their own: no cookie shared with others.
 *
 * `elsewhere`: other origins the reader goes to by will, as a sign-in's provider. `expected`: a
 * pattern of console errors that the journey provokes, as an answer 403.
 */
async function open(browser, options = {}) {
  const { elsewhere = [], expected, ...of_context } = options;
  const context = await browser.newContext({
    locale: 'fr-FR',
    viewport: { width: 1280, height: 900 },
    javaScriptEnabled: scripts,
    reducedMotion: 'reduce',
    ...of_context,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints = [];
  const may_ask = new Set([new URL(service).origin, ...elsewhere]);
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && !may_ask.has(origin)) {
      complaints.push(`${request.frame().url()} asked ${request.url()}`);
    }
  });
  // Chromium tells of a broken policy on the console as well.
  context.on('console', (message) => {
    const text = message.text();
    if (message.type() === 'error' && !expected?.test(text)) {
      complaints.push(`${message.page()?.url()}: ${text} (${message.location().url})`);
    }
  });
  context.on('weberror', (error) => {
    complaints.push(`${error.page()?.url()}: ${error.error()}`);
  });
  const reader = {
    context,
    page,
    /** Goes to a page of the service, and answers its response. */
    async go(path, status = 200) {
      const response = await page.goto(service + path);
      assert.equal(response.status(), status, `${path}: status`);
      return response;
    },
    /** Keeps a picture of what the reader sees. */
    async picture(name) {
      if (!screenshots) return;
      mkdirSync(screenshots, { recursive: true });
      await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
    },
    /**
     * Keeps a picture of one screen, for the user guide: `to` is what it must show.
     */
    async illustrate(name, to = page.locator('main')) {
      const directories = [screenshots, guide].filter(Boolean);
      if (directories.length === 0 || !scripts) return;
      await page.evaluate(() => document.activeElement?.blur());
      await to.evaluate((element) => {
        window.scrollTo(0, Math.max(0, element.getBoundingClientRect().top + window.scrollY - 24));
      });
      for (const directory of directories) {
        mkdirSync(directory, { recursive: true });
        const path = join(directory, `${name}.png`);
        await page.screenshot({ path });
        const bytes = statSync(path).size;
        assert.ok(bytes < MAX_GUIDE_IMAGE_BYTES, `${name}.png: ${bytes} bytes`);
      }
    },
    /** What a reader does starts a download: the path of the file. */
    async download(act) {
      const [download] = await Promise.all([page.waitForEvent('download'), act()]);
      const path = join(files, download.suggestedFilename());
      await download.saveAs(path);
      return path;
    },
    /** Reaches a link or button by Tab alone and presses it. */
    async press(locator, key = 'Tab') {
      await reader.tabTo(locator, key);
      await page.keyboard.press('Enter');
    },
    /** Signs in as one of the demonstration's people: `citizen`, `controller`, `regulator`. */
    async signInAs(person) {
      await reader.go('/signin');
      await page.locator(`form:has(input[name=person][value=${person}]) button`).click();
      await page.locator('form[action="/signout"] button').waitFor();
    },
    /**
     * Presses Tab until the element has the focus, and claims that the focus can be seen there.
     * Nothing else moves it: what cannot be reached by keyboard fails.
     */
    async tabTo(locator, key = 'Tab') {
      const target = await locator.elementHandle();
      for (let pressed = 0; pressed < 400; pressed += 1) {
        const reached = await target.evaluate((element) => element === document.activeElement);
        if (reached) {
          const seen = await target.evaluate((element) => {
            const style = getComputedStyle(element);
            return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
          });
          assert.ok(seen, `the focus on ${locator} cannot be seen`);
          return;
        }
        await page.keyboard.press(key);
      }
      assert.fail(`${locator} cannot be reached by ${key}`);
    },
    /** Nothing was complained of so far. */
    content() {
      assert.deepEqual(complaints, [], `${basename(process.argv[1])}: what pages did`);
    },
    async close() {
      await context.close();
      reader.content();
    },
  };
  return reader;
}
