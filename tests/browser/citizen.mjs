// A citizen finds who saw data about them, contests it, and takes a checkable extract away.
//
// `--provider URL`: signs in with that provider, as somebody it knows; without it, as the
// citizen of the demonstration. `--other POSITION`: an access to somebody else's data.
// Everything but the sign-in at the provider is done by keyboard alone.

import { readFileSync, writeFileSync } from 'node:fs';
import { argument, assert, data, journey, run, scripts, service, size, verify, verifyLedger } from './harness.mjs';

const provider = argument('provider');
const suffix = `${provider ? '' : '-demo'}${scripts ? '' : '-no-scripts'}`;
const WORDS = 'Je ne l’ai appris que plus tard.';

await journey(async ({ open }) => {
  const reader = await open({
    elsewhere: provider ? [provider] : [],
    // Refused on purpose: a form without a ground, and another's access.
    expected: /the server responded with a status of (400|404)/,
  });
  const { page } = reader;
  const main = page.locator('main');
  const on = reader.press;

  await page.goto(`${service}/me`);
  await page.waitForURL('**/signin?then=%2Fme');
  if (provider) {
    await on(page.locator('form:not(:has([name=person])):has([name=form]) button'));
    await page.waitForURL(`${provider}/choose/**`);
    await page.getByRole('button', { name: 'Une salariée', exact: true }).click();
  } else {
    await on(page.locator('form:has(input[name=person][value=citizen]) button'));
  }
  await page.waitForURL(`${service}/me`);
  assert.ok(!(await page.content()).includes('Invention'), 'no name is kept or shown');

  // Who saw what, on one line each; theirs alone.
  const lines = page.locator('.accesses .access');
  assert.equal(await lines.count(), 1);
  assert.equal(await lines.locator('.verdict').count() > 0, true, 'what the register finds');
  await reader.picture(`citizen-history${suffix}`);
  if (!provider) await reader.illustrate('citoyen-historique', page.locator('h1'));
  await on(lines.locator('h4 a'));
  await page.waitForURL('**/me/accesses/*');
  const here = page.url();
  const position = Number(here.split('/').at(-1));

  // The chain it rests on, in plain words, each entry a public page.
  const chain = page.locator('section[aria-labelledby=chain] .timeline > li');
  assert.ok((await chain.count()) > 0, 'the answer rests on entries');
  for (const text of await chain.locator('h3').allInnerTexts()) {
    assert.doesNotMatch(text, /^[A-Z][a-z]+[A-Z]/, 'an entry is told in words, not by its type');
  }
  await reader.picture(`citizen-access${suffix}`);
  const entry = chain.locator('h3 a').first();
  const title = await entry.innerText();
  await on(entry);
  await page.waitForURL('**/register/**');
  assert.ok(title.length > 0 && (await page.locator('h1').count()) === 1);
  await page.goBack();
  await page.waitForURL(here);

  // Without a ground nothing is filed, and the form says so where the ground is asked for.
  const before = await size();
  const send = page.locator('form.contest button');
  await on(send);
  const error = page.locator('#contest-error');
  await error.waitFor();
  assert.match(await page.locator('form.contest fieldset').getAttribute('aria-describedby'), /contest-error/);
  assert.ok(await error.evaluate((e) => e === document.activeElement), 'the error is read out');
  // The page is there in the other language too.
  await on(page.locator('nav.lang a[hreflang=en]'), 'Shift+Tab');
  await page.waitForURL(`${here}?lang=en`);
  await on(page.locator('nav.lang a[hreflang=fr]'), 'Shift+Tab');
  await page.waitForURL(`${here}?lang=fr`);
  assert.equal(await size(), before, 'nothing is filed');

  // Contested, once.
  await reader.tabTo(page.locator('form.contest [name=reason]').first());
  await page.keyboard.press('Space');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.locator('[name=reason]:checked').inputValue(), 'other-purpose');
  await reader.tabTo(page.locator('#words'));
  await page.keyboard.type(WORDS);
  if (!provider) await reader.illustrate('citoyen-contester', page.locator('#contest'));
  await on(send);
  await page.waitForURL('**#contest');
  const contest = page.locator('section[aria-labelledby=contest]');
  assert.match(await contest.innerText(), /Contesté le/);
  assert.ok((await contest.locator('blockquote').innerText()).includes(WORDS));
  assert.equal(await contest.locator('form').count(), 0, 'it is not offered again');
  assert.equal(await size(), before + 1);
  await reader.picture(`citizen-contested${suffix}`);
  const receipt = await reader.download(() => on(contest.locator('a[download]')));
  const proved = JSON.parse(readFileSync(receipt, 'utf8'));
  assert.equal(proved.position, before);
  assert.ok(!JSON.stringify(proved.leaf).includes(WORDS), 'what they wrote is concealed');
  const trust = `${data}/trust.json`;
  const checked = run('greffe', 'receipt', 'check', receipt, '--trust', trust, '--json');
  // Read and proved; a contestation grants nothing.
  assert.equal(JSON.parse(checked.stdout).code, 'not-a-request', checked.stderr);

  // The letter.
  await on(page.locator('section[aria-labelledby=letter] a').first());
  await page.waitForURL('**/letter');
  const letter = await page.locator('.letter').innerText();
  assert.match(letter, /article 15/);
  assert.ok(letter.includes(`n°\u00a0${position}`));
  await reader.picture(`citizen-letter${suffix}`);
  const text = await reader.download(() => on(page.locator('a[href$="letter.txt"]')));
  const plain = (t) => t.replace(/\s+/g, ' ').trim();
  assert.equal(plain(readFileSync(text, 'utf8')), plain(letter));
  await on(page.locator('.crumbs a[href="/me"]'));
  await page.waitForURL('**/me');
  assert.match(await lines.innerText(), /contesté le/i);

  // The extract: whole, checked without us, and nothing of anybody else in clear.
  const extract = await reader.download(() => on(page.locator('a[href="/me/extract.ndjson"]')));
  verify(extract);
  const rows = readFileSync(extract, 'utf8').trim().split('\n');
  const entries = rows.map((row) => JSON.parse(row));
  const accesses = entries.filter((e) => e.leaf?.stream.type === 'access').map((e) => e.leaf.position);
  assert.deepEqual(accesses, [position, before], 'their access and their contestation');
  const hidden = entries.filter((e) => e.link && !e.leaf && !e.head);
  assert.ok(hidden.length > 0, 'others are hidden, and keep their place');
  // One of them left out: it is noticed.
  const cut = extract.replace('.ndjson', '-cut.ndjson');
  const left_out = rows.filter((row) => row !== JSON.stringify(hidden[0]) && !(row.includes('"link"') && JSON.parse(row).link === hidden[0].link));
  assert.ok(left_out.length < rows.length);
  writeFileSync(cut, left_out.join('\n') + '\n');
  assert.notEqual(run('greffe-verify', cut, '--trust', trust).status, 0, 'a cut extract is refused');

  // What is not theirs does not exist.
  const other = argument('other');
  if (other) await reader.go(`/me/accesses/${other}`, 404);

  // And out.
  await reader.go('/me');
  await on(page.locator('form[action="/signout"] button'));
  await page.locator('a[href="/signin"]').first().waitFor();
  await page.goto(here);
  await page.waitForURL('**/signin?then=*');
  assert.equal(await main.locator('.timeline').count(), 0);
  verifyLedger();
  await reader.close();
});
