// Every page that a reader reaches by its links: accessible, within its width, light.
//
// `--as citizen|controller|regulator` signs in first; without it, a visitor. From `/` on, links
// are followed until no new kind of page turns up; of a kind (an address without its ids and
// values) one page is looked at, of the register two. Each is opened in French and in English,
// on a wide and on a narrow screen, in light and in dark.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { argument, assert, journey, service } from './harness.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const role = argument('as');

/** What must hold: WCAG 2.2 up to AA, and axe's own good practice. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const MAX_PAGE_BYTES = 100_000;
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 390, height: 844 };

/** The kind of a page: its address without what names one thing of many. */
function kind({ pathname, searchParams }) {
  const path = pathname
    .replace(/^\/register\/([a-z]+)\/.+/, '/register/$1/*')
    .replace(/^\/problems\/.+/, '/problems/*')
    .replace(/\/\d+(?=\/|$)/g, '/*')
    .replace(/^(\/(?:regulator|controller|me)\/[a-z-]+)\/(?!new\b|\*)[^/]+$/, '$1/*');
  const asked = [...searchParams.keys()].filter((name) => name !== 'lang').sort();
  return asked.length > 0 ? `${path}?${asked.join('&')}` : path;
}

const most = (of_kind) => (of_kind.startsWith('/register/') && !role ? 2 : 1);

async function violations(page, options) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(
    (run) => window.axe.run(document, { ...run, resultTypes: ['violations'] }),
    options,
  );
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(' ')}\n    ${failureSummary}`),
  );
}

await journey(async ({ open }) => {
  const reader = await open();
  const { page } = reader;
  if (role) await reader.signInAs(role);
  const wrong = [];
  const seen = new Map();
  const queue = ['/'];
  if (role) queue.push(new URL(await page.locator('.who a').getAttribute('href'), service).pathname);
  const queued = new Set(queue);
  let asked = [];
  page.on('request', (request) => asked.push(request));

  /** Opens a page; what it asked for and weighed is checked. */
  async function load(path) {
    asked = [];
    const response = await page.goto(service + path, { waitUntil: 'load' }).catch((error) => {
      if (error.message.includes('Download is starting')) return null;
      throw error;
    });
    // A file to keep is no page.
    if (response === null) return false;
    const type = response.headers()['content-type'] ?? '';
    if (!type.startsWith('text/html')) return false;
    if (response.status() !== 200) wrong.push(`${path}: status ${response.status()}`);
    const bytes = (await response.body()).length;
    if (bytes >= MAX_PAGE_BYTES) wrong.push(`${path}: ${bytes} bytes`);
    const others = asked.filter((r) => r.resourceType() !== 'script' && r.url() !== response.url());
    if (others.length > 0) wrong.push(`${path}: also asks ${others.map((r) => r.url())}`);
    return true;
  }

  async function look(path, lang, viewport, colorScheme) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    const join = path.includes('?') ? '&' : '?';
    if (!(await load(`${path}${join}lang=${lang}`))) return false;
    const where = `${path} (${lang}, ${viewport.width}, ${colorScheme})`;
    const note = (found) => found.forEach((v) => wrong.push(`${where}: ${v}`));
    note(await violations(page, { runOnly: { type: 'tag', values: TAGS } }));
    const [wanted, has] = await page.evaluate(() => {
      const { scrollWidth, clientWidth, lang: spoken } = document.documentElement;
      return [scrollWidth - clientWidth, spoken];
    });
    if (wanted > 0) {
      const wide = await page.evaluate(() =>
        [...document.querySelectorAll('main *')]
          .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth)
          .slice(0, 3)
          .map((e) => e.outerHTML.slice(0, 120)),
      );
      wrong.push(`${where}: ${wanted} px too wide: ${wide.join(' ; ')}`);
    }
    if (has !== lang) wrong.push(`${where}: the page says it is in ${has}`);
    // Colours are the same in either language: the other scheme is looked at here.
    const other = colorScheme === 'light' ? 'dark' : 'light';
    await page.emulateMedia({ colorScheme: other });
    const contrast = await violations(page, {
      runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
    });
    contrast.forEach((v) => wrong.push(`${path} (${lang}, ${viewport.width}, ${other}): ${v}`));
    await page.emulateMedia({ colorScheme });
    return true;
  }

  while (queue.length > 0) {
    const path = queue.shift();
    const of_kind = kind(new URL(path, service));
    const times = seen.get(of_kind) ?? 0;
    if (times >= most(of_kind)) continue;
    seen.set(of_kind, times + 1);
    if (!(await look(path, 'fr', WIDE, 'light'))) {
      seen.delete(of_kind);
      continue;
    }
    const name = `${role ?? 'visitor'}${of_kind.replace(/[^a-z]+/g, '-')}`.replace(/-$/, '');
    await reader.picture(`${name}-fr-1280`);
    const links = await page.locator('a[href]').evaluateAll((all) => all.map((a) => a.href));
    for (const link of links) {
      const url = new URL(link);
      url.searchParams.delete('lang');
      const next = url.pathname + url.search;
      const is_page = url.origin === service && !/^\/(v1\/|openapi\.json)/.test(url.pathname);
      if (is_page && !queued.has(next)) {
        queued.add(next);
        queue.push(next);
      }
    }
    await look(path, 'en', NARROW, 'dark');
    await reader.picture(`${name}-en-390-dark`);
    // French words are longer: the narrow screen is for them too.
    await page.emulateMedia({ colorScheme: 'light' });
    await load(`${path}${path.includes('?') ? '&' : '?'}lang=fr`);
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    if (over > 0) wrong.push(`${path} (fr, 390): ${over} px too wide`);
  }
  console.log([...seen.keys()].join('\n'));
  assert.equal(wrong.length, 0, `\n${wrong.join('\n')}`);
  // The crawl itself is alive.
  assert.ok(seen.has('/register/processings/*') && seen.has('/problems'), 'the site was walked');
  await reader.close();
});
