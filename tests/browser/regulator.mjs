// The authority finds a refusal of 2005 and an answer that an annulment changed, and takes the
// dossier away, which is checked here with a BLAKE3 and an Ed25519 that are not ours.
//
// Filters are the address: what one agent finds, another opens by its link.

import { readFileSync } from 'node:fs';
import { blake3 } from '@noble/hashes/blake3';
import { verifyStrict } from '../vectors/ed25519.mjs';
import { assert, data, journey, scripts, service } from './harness.mjs';

const suffix = scripts ? '' : '-no-scripts';

/** Checks every line of a dossier under the ledger's key; the events that it holds. */
function check(dossier) {
  const { ledger_key: key, origin } = JSON.parse(readFileSync(`${data}/trust.json`, 'utf8'));
  const trusted = Buffer.from(key.x, 'base64url');
  const hex = (bytes) => Buffer.from(bytes).toString('hex');
  const holds = (text, signature) => verifyStrict(trusted, Buffer.from(text), Buffer.from(signature, 'base64url'));
  const lines = readFileSync(dossier, 'utf8').trim().split('\n');
  const filings = new Set();
  const events = [];
  let ended = false;
  for (const line of lines) {
    const one = JSON.parse(line);
    assert.ok(!ended, 'the head is the last line');
    if (one.filing) {
      filings.add(hex(blake3(Buffer.from(one.filing.split('~')[0]))));
    } else if (one.leaf) {
      // The leaf as it stands in the line: its bytes are what is hashed.
      const leaf = line.slice(line.indexOf('{', 1), line.lastIndexOf(',"link":'));
      const link = hex(blake3(Buffer.from(leaf), { context: 'greffe v1 entry link' }));
      assert.equal(one.link, link, `entry ${one.leaf.position}`);
      const signed = `greffe v1 entry\n${origin}\n${one.leaf.position}\n${link}\n`;
      assert.ok(holds(signed, one.signature), `entry ${one.leaf.position}: signature`);
      if (one.leaf.filing) assert.ok(filings.has(one.leaf.filing.digest), 'its filing is there');
      events.push({ position: one.leaf.position, type: one.leaf.event.type });
    } else {
      assert.ok(one.head.size > 0);
      ended = true;
    }
    assert.ok(!line.includes('"disclosure"'), 'nothing that is concealed leaves');
  }
  assert.ok(ended, 'the file was not cut');
  return events;
}

await journey(async ({ open }) => {
  const reader = await open({ expected: /the server responded with a status of 400/ });
  const { page } = reader;
  const main = page.locator('main');
  const on = reader.press;
  await reader.signInAs('regulator');
  await on(page.locator('.who a'));
  await page.waitForURL('**/regulator');
  await reader.picture(`regulator-start${suffix}`);
  await reader.illustrate('autorite-accueil', page.locator('h1'));

  // The refusal, by its number alone.
  await reader.tabTo(page.locator('#q'));
  await page.keyboard.type('2005-038');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/regulator/audit?q=2005-038*');
  const about = page.locator('a[href="/register/decisions/anaiss-2005-038"]');
  const found = page.locator('.searched > li', { has: about, hasText: /décision/i });
  await found.first().waitFor();
  await on(found.first().locator('.badges a').first());
  await page.waitForURL('**/regulator/entries/*');
  assert.match(await main.innerText(), /refus/i);
  await reader.picture(`regulator-refusal${suffix}`);
  await on(page.locator('.sub a[href="/register/decisions/anaiss-2005-038"]'));
  await page.waitForURL('**/register/decisions/anaiss-2005-038');
  const refused = page.locator('main').getByText(/refus/i);
  assert.ok((await refused.count()) > 0, 'the outcome of each purpose');

  // Filters: the kind of entry, and what is wrong with one told where it is.
  await reader.go('/regulator/audit');
  await page.locator('#type').selectOption('DecisionRendered');
  await page.locator('#by').fill('cnil');
  await page.locator('#stream').fill('pas une adresse');
  await on(page.locator('form.filters button'));
  await page.locator('#stream[aria-invalid]').waitFor();
  assert.equal(await page.locator('#type').inputValue(), 'DecisionRendered', 'what was asked is kept');
  await page.locator('#stream').fill('decision/anaiss-2005-038');
  await on(page.locator('form.filters button'));
  const address = (name, value) => (url) => url.searchParams.get(name) === value;
  await page.waitForURL(address('stream', 'decision/anaiss-2005-038'));
  const shared = page.url();
  assert.equal(new URL(shared).searchParams.get('type'), 'DecisionRendered');
  const rows = await page.locator('.searched > li').allInnerTexts();
  assert.equal(rows.length, 1);

  // Another agent opens the same address: signs in, and sees the same.
  const colleague = await open();
  await colleague.page.goto(shared);
  await colleague.page.waitForURL('**/signin?then=*');
  await colleague.page.locator('form:has(input[value=regulator]) button').click();
  await colleague.page.waitForURL(shared);
  assert.deepEqual(await colleague.page.locator('.searched > li').allInnerTexts(), rows);
  await colleague.close();

  // What was covered then and is not now.
  await reader.go('/regulator/accesses');
  await page.locator('#verdict').selectOption('COVERED');
  await page.locator('#now').selectOption('NOT-COVERED');
  await on(page.locator('form.filters button'));
  await page.waitForURL(address('now', 'NOT-COVERED'));
  assert.equal(new URL(page.url()).searchParams.get('verdict'), 'COVERED');
  assert.equal(await page.locator('.searched > li').count(), 1);
  if (scripts) {
    // Kept under a name in this browser.
    await page.locator('#save-name').fill('Annulés');
    await page.locator('form.save button').click();
    await page.locator('form.save [role=status]').getByText(/./).waitFor();
  } else {
    assert.ok(!(await page.locator('form.save').isVisible()), 'nothing is offered that does not work');
  }
  await reader.picture(`regulator-changed${suffix}`);
  await on(page.locator('.searched .badges a').first());
  await page.waitForURL(/\/regulator\/accesses\/\d+$/);
  const badges = () => page.locator('.overall .badge').allInnerTexts();
  assert.deepEqual(await badges(), ['Couvert', 'Non couvert']);
  assert.match(await main.innerText(), /BASIS-ANNULLED/);
  await reader.picture(`regulator-then-now${suffix}`);
  await reader.illustrate('autorite-comparaison', page.locator('h1'));
  // As known on the eve of the judgment.
  await reader.tabTo(page.locator('#known_at'));
  await page.keyboard.type('2013-11-19');
  await page.keyboard.press('Enter');
  await page.waitForURL('**known_at=2013-11-19*');
  assert.deepEqual(await badges(), ['Couvert', 'Couvert']);
  await page.goBack();
  await page.waitForURL(/\/regulator\/accesses\/\d+$/);
  assert.deepEqual(await badges(), ['Couvert', 'Non couvert']);

  // The dossier, on paper and as a file that checks.
  await on(page.locator('a[href^="/regulator/dossier?"]').first());
  await page.waitForURL('**/regulator/dossier?*');
  await reader.picture(`regulator-dossier${suffix}`);
  const events = check(
    await reader.download(() => on(page.locator('a[href^="/regulator/dossier.ndjson"]').first())),
  );
  const types = events.map(({ type }) => type);
  for (const type of ['AccessRecorded', 'DecisionRendered', 'DecisionEnded']) {
    assert.ok(types.includes(type), `the dossier holds ${type}: ${types}`);
  }
  if (scripts) {
    await reader.go('/regulator');
    await on(page.locator('#saved a', { hasText: 'Annulés' }));
    await page.waitForURL(address('now', 'NOT-COVERED'));
  }
  assert.equal(new URL(page.url()).origin, service);
  await reader.close();
});
