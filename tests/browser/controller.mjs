// A controller declares, signs in the browser with its own key, and takes the receipt away.
//
// With scripts the browser signs; without, `greffe sign` does, and its output is uploaded. Either
// way the register then holds what the form said, the programs accept it, and nothing that the
// browser ever sent holds the key.

import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assert, data, file, journey, run, scripts, service, size, verifyLedger } from './harness.mjs';

const suffix = scripts ? '' : '-no-scripts';
const PROCESSING = 'suivi-essaye';
const DECLARED = [
  ['processing', PROCESSING],
  ['title', 'Suivi essayé'],
  ['purposes.0.code', 'PUR-CASE-MGMT'],
  ['categories.0.code', 'EMP-IDENTITY'],
  ['subjects', 'Assurés'],
  ['legal_basis.0', 'A6-1-E'],
  ['filing.at', '2012-04-01'],
];
// Of nobody: 43 characters that no sign-in derives.
const SUBJECT = 'aW52ZW50ZWQgc3ViamVjdCwgYW5udWxtZW50IGNhc2U';
const ACCESS = [
  ['processing', PROCESSING],
  ['purpose', 'PUR-CASE-MGMT'],
  ['categories.0', 'EMP-IDENTITY'],
  ['recipient.party', 'fund-invented'],
  ['recipient.role', 'R-CASE-MANAGER'],
  ['recipient.agent', 'agent-042'],
  ['basis.codes.0', 'A6-1-E'],
  ['subjects', SUBJECT],
  ['channel', 'portal'],
  ['filing.at', '2012-05-10'],
];

/** Every form in which somebody could have written those bytes down. */
function forms(pem) {
  const seed = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  const der = pem.replace(/-----[^-]+-----|\s/g, '');
  // Of a base64 text, the whole groups that the seed alone fills.
  return [seed.toString('latin1'), seed.toString('hex'), seed.toString('base64url'), der, der.slice(-40)];
}

await journey(async ({ open }) => {
  // Refusals, which Chromium writes on its console.
  const reader = await open({ expected: /the server responded with a status of (400|401|403|409)/ });
  const { page, context } = reader;
  const sent = [];
  context.on('request', (request) => sent.push(request));
  const control = (name) => page.locator(`[name="${name}"]:not([type=hidden])`);
  const type = async (values) => {
    for (const [name, value] of values) {
      const one = control(name);
      if ((await one.evaluate((e) => e.tagName)) === 'SELECT') await one.selectOption(value);
      else await one.fill(value);
    }
  };
  const review = () => page.locator('.go button[value=review]').click();
  const reviewed = () => page.locator('#signing').waitFor();
  const draft = async () => JSON.parse(await page.locator('#draft').textContent());
  const outcome = page.locator('#outcome');
  const main = page.locator('main');

  await reader.signInAs('controller');
  await page.locator('.who a').click();
  await page.waitForURL('**/controller');
  await reader.picture(`controller-home${suffix}`);
  const key = await reader.download(() =>
    page.locator('a[href="/controller/demonstration-key.pem"]').first().click(),
  );
  const pem = readFileSync(key, 'utf8');

  /** Signs what the page shows and files it; gives the receipt, as the reader keeps it. */
  async function signAndFile({ choose = true } = {}) {
    if (scripts) {
      await page.locator('#in-browser').waitFor();
      if (choose) await page.locator('#key').setInputFiles(key);
      await reader.tabTo(page.locator('#sign-and-file'));
      await page.keyboard.press('Enter');
      await page.locator('#receipt').waitFor();
      assert.ok(await outcome.evaluate((e) => e === document.activeElement), 'the outcome is read out');
      assert.ok(!(await page.locator('#in-browser').isVisible()), 'it is not offered twice');
      return reader.download(() => reader.press(page.locator('#receipt')));
    }
    assert.match(await page.locator('#signing noscript').innerText(), /signer ailleurs/);
    const origin = await page.locator('#signing').getAttribute('data-origin');
    const filing = await reader.download(() =>
      page.locator('.steps').getByText('filing.json', { exact: true }).first().click(),
    );
    const signed = run('greffe', 'sign', filing, '--key', key, '--aud', origin);
    assert.equal(signed.status, 0, signed.stderr);
    await page.locator('#upload-file').setInputFiles(file('filing.jwt', signed.stdout));
    await page.locator('form[action="/controller/upload"] button').click();
    await page.getByRole('heading', { name: 'Inscrit au registre' }).waitFor();
    return reader.download(() => page.locator('a[href^="/controller/receipts/"]').first().click());
  }

  /** The one receipt of a file, which `greffe receipt check` reads and proves. */
  function receipt(path) {
    const read = JSON.parse(readFileSync(path, 'utf8'));
    const one = Array.isArray(read) ? read[0] : read;
    const trust = `${data}/trust.json`;
    const checked = run('greffe', 'receipt', 'check', path, '--trust', trust, '--json');
    // Proved first; then: what it proves is no grant.
    assert.equal(JSON.parse(checked.stdout).code, 'not-a-request', checked.stderr);
    const altered = file('altered.json', JSON.stringify(one).replace(/"time":"20/, '"time":"19'));
    const refused = run('greffe', 'receipt', 'check', altered, '--trust', trust, '--json');
    assert.notEqual(refused.status, 0);
    assert.ok(!refused.stdout.includes('not-a-request'), 'an altered receipt proves nothing');
    return one;
  }

  // What is wrong is told at its field, and what was typed is kept.
  await page.locator('a[href="/controller/file/processing.declare"]').first().click();
  assert.equal(await control('controller').inputValue(), 'fund-invented');
  await type(DECLARED);
  await type([['purposes.0.code', 'PUR-NONSENSE']]);
  const before = await size();
  await review();
  const field = page.locator('#f-purposes-0-code');
  await page.locator('#wrong').waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  const described = (await field.getAttribute('aria-describedby')).split(' ');
  assert.ok(described.includes('f-purposes-0-code-error'));
  const told = await page.locator('#f-purposes-0-code-error').innerText();
  assert.match(told, /PUR-NONSENSE|code|liste/);
  assert.equal(await control('title').inputValue(), 'Suivi essayé', 'nothing typed is lost');
  if (scripts) {
    assert.ok(await page.locator('#wrong').evaluate((e) => e === document.activeElement));
  }
  await reader.picture(`controller-error${suffix}`);
  await reader.press(page.locator('#wrong a[href="#f-purposes-0-code"]'));
  assert.ok(await field.evaluate((e) => e === document.activeElement), 'the summary leads to the field');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('PUR-CASE-MGMT');
  // Enter in a field reviews; it does not add a row or file anything.
  await page.keyboard.press('Enter');
  await reviewed();
  assert.equal((await draft()).body.title, 'Suivi essayé');
  const named = page.locator('dd[data-pointer="/body/processing"]');
  assert.equal(await named.innerText(), PROCESSING, 'an id is told as it is signed');
  await reader.picture(`controller-review${suffix}`);

  // Altered after the review: what is signed is what is shown then.
  await page.locator('button[value=edit]').click();
  assert.equal(await control('purposes.0.code').inputValue(), 'PUR-CASE-MGMT');
  await type([['title', 'Suivi essayé, corrigé']]);
  await review();
  await reviewed();
  assert.equal((await draft()).body.title, 'Suivi essayé, corrigé');

  if (scripts) {
    const go = page.locator('#sign-and-file');
    await page.locator('#in-browser').waitFor();
    assert.ok(!(await page.locator('#elsewhere').evaluate((e) => e.open)), 'the other way is folded');
    await go.click();
    await outcome.getByText('Choisir d’abord').waitFor();
    await page.locator('#key').setInputFiles(file('note.pem', 'ceci n’est pas une clé'));
    await go.click();
    await outcome.getByText('n’est pas une clé').waitFor();
    // Another's key: the ledger does not take it for the controller's.
    const { privateKey } = generateKeyPairSync('ed25519');
    const another = privateKey.export({ format: 'pem', type: 'pkcs8' });
    await page.locator('#key').setInputFiles(file('another.pem', another));
    await go.click();
    await outcome.getByText('Refusé : rien n’est inscrit.').waitFor();
    assert.match(await outcome.locator('a').getAttribute('href'), /^\/problems\/[a-z-]+$/);
    await reader.picture('controller-wrong-key');
    // Altered on its way: its signature no longer holds.
    await page.locator('#key').setInputFiles(key);
    await page.route('**/v1/filings*', async (route) => {
      const [header, payload, ...rest] = route.request().postData().split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url'));
      claims.body.title = 'Autre chose';
      const forged = Buffer.from(JSON.stringify(claims)).toString('base64url');
      await route.continue({ postData: [header, forged, ...rest].join('.') });
    });
    await go.click();
    await outcome.locator('a[href="/problems/signature-invalid"]').waitFor();
    await page.unroute('**/v1/filings*');
  } else {
    const upload = page.locator('form[action="/controller/upload"]');
    await page.locator('#upload-file').setInputFiles(file('wrong.jwt', 'pas un dépôt signé'));
    await upload.locator('button').click();
    await page.locator('a[href="/problems/malformed"]').waitFor();
    // No dead end: the right file can be given there.
    assert.equal(await upload.locator('#upload-file').count(), 1);
    await reader.go('/controller/file/processing.declare');
    await type([...DECLARED, ['title', 'Suivi essayé, corrigé']]);
    await review();
    await reviewed();
  }
  assert.equal(await size(), before, 'nothing of that is recorded');

  const declared = receipt(await signAndFile());
  assert.equal(declared.position, before);
  assert.equal(await size(), before + 1);
  await reader.picture(`controller-receipt${suffix}`);
  await reader.go(`/register/processings/${PROCESSING}`);
  assert.match(await main.innerText(), /Suivi essayé, corrigé/);
  await reader.go('/controller');
  await page.locator(`a[href="/register/processings/${PROCESSING}"]`).first().waitFor();
  await page.locator(`a[href="/controller/receipts/${before}.json"]`).waitFor();

  // What the ledger refuses is told beside what is wrong.
  await reader.go('/controller/file/processing.declare');
  await type(DECLARED);
  await review();
  await reviewed();
  if (scripts) {
    await page.locator('#key').setInputFiles(key);
    await page.locator('#sign-and-file').click();
    await outcome.locator('a[href="/problems/already-exists"]').waitFor();
    await page.locator('[data-pointer="/body/processing"] .error').waitFor();
    assert.equal(await size(), before + 1);
  }

  // A form whose token is not the session's files nothing.
  await page.locator('form:has(button[value=edit]) [name=csrf]').evaluate((e) => {
    e.value = 'another';
  });
  const [refused] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    page.locator('button[value=edit]').click(),
  ]);
  assert.equal(refused.status(), 403);
  assert.ok((await page.locator('main a').count()) > 0, 'a way on');

  // An access: its verdict before anything is signed.
  await reader.go('/controller/file/access.report');
  await type(ACCESS);
  const badge = (inside) => page.locator(`${inside} .overall .badge`);
  if (scripts) {
    await badge('#live-verdict').waitFor();
    // The verdict stays in sight and never covers what has the focus.
    for (const name of ['purpose', 'subjects', 'channel']) {
      await reader.tabTo(control(name), 'Shift+Tab');
      const seen = await control(name).evaluate((field) => {
        const { x, y, width, height } = field.getBoundingClientRect();
        return document.elementFromPoint(x + width / 2, y + height / 2) === field;
      });
      assert.ok(seen, `${name} is covered while it has the focus`);
    }
    await reader.illustrate('responsable-constat', page.locator('#f-basis'));
  } else {
    assert.ok(!(await page.locator('#live').isVisible()), 'nothing is promised that does not come');
  }
  const live = scripts ? await badge('#live-verdict').innerText() : undefined;
  await review();
  await reviewed();
  const verdict = await badge('section[aria-labelledby=verdict]').innerText();
  if (scripts) assert.equal(live, verdict, 'as one types, and on review');
  assert.match(await main.innerText(), /pas une décision/);
  await reader.illustrate('responsable-signature', page.locator('#signing'));
  if (scripts) await page.locator('#remember').check();
  const reported = receipt(await signAndFile());
  assert.ok(!JSON.stringify(reported.leaf).includes(SUBJECT), 'what is personal is concealed');
  await reader.go(`/controller/accesses/${reported.position}`);
  assert.equal(await page.locator('.overall .badge').first().innerText(), verdict);

  // The batch: a report line by line, and nothing filed before it is signed.
  const at = await size();
  await reader.go('/controller/batch?kind=access.report');
  await page.locator('details:has(a[href="/controller/templates/access.report.csv"]) summary').click();
  const template = readFileSync(
    await reader.download(() =>
      page.locator('a[href="/controller/templates/access.report.csv"]').click(),
    ),
    'utf8',
  );
  const headings = template.replace('\uFEFF', '').split('\r\n')[0].split(';');
  const row = (values) => {
    for (const name of Object.keys(values)) assert.ok(headings.includes(name), name);
    return headings.map((heading) => values[heading] ?? '').join(';');
  };
  const sound = {
    Traitement: PROCESSING,
    Finalité: 'PUR-CASE-MGMT',
    'Catégories de données': 'EMP-IDENTITY',
    'Destinataire > Organisme': 'fund-invented',
    'Destinataire > Rôle': 'R-CASE-MANAGER',
    'Base invoquée > Codes': 'A6-1-E',
    'Personnes (références)': SUBJECT,
    Canal: 'portal',
  };
  const send = async (name, rows) => {
    const text = [headings.join(';'), ...rows.map(row)].join('\r\n');
    await page.locator('#csv').setInputFiles(file(name, `\uFEFF${text}\r\n`));
    await page.locator('#at').fill('2012-05-11');
    await page.locator('form.filing .go button').click();
    await page.waitForURL('**/controller/batch/report');
  };
  await send('wrong.csv', [sound, { ...sound, Finalité: 'PUR-NONSENSE' }]);
  const line = (number) =>
    page.locator('table.report tbody tr', { has: page.locator(`th:text-is("${number}")`) });
  assert.doesNotMatch(await line(2).innerText(), /à corriger/);
  assert.match(await line(3).innerText(), /à corriger/);
  assert.match(await line(3).innerText(), /Finalité/);
  assert.equal(await page.locator('#signing').count(), 0, 'nothing to sign yet');
  await reader.picture(`controller-batch-wrong${suffix}`);
  await reader.press(page.locator('main p:not(.crumbs) a[href^="/controller/batch?kind="]'));
  await page.locator('#csv').waitFor();
  await send('right.csv', [sound, sound]);
  assert.equal(await page.locator('table.report tbody tr').count(), 2);
  await reader.picture(`controller-batch${suffix}`);
  assert.equal(await size(), at, 'nothing is filed before it is signed');
  if (scripts) {
    // The key that was kept: it signs, and nothing can read it back.
    await page.locator('#remembered').waitFor();
    const stays = await page.evaluate(async () => {
      const opened = await new Promise((resolve) => {
        const request = indexedDB.open('greffe', 1);
        request.onsuccess = () => resolve(request.result);
      });
      const [kept] = await new Promise((resolve) => {
        const request = opened.transaction('keys').objectStore('keys').getAll();
        request.onsuccess = () => resolve(request.result);
      });
      opened.close();
      const read = await crypto.subtle.exportKey('pkcs8', kept.key).then(
        () => true,
        () => false,
      );
      return { extractable: kept.key.extractable, read };
    });
    assert.deepEqual(stays, { extractable: false, read: false });
  }
  await signAndFile({ choose: false });
  assert.equal(await size(), at + 2);
  if (scripts) {
    await reader.go('/controller/batch?kind=access.report');
    await send('again.csv', [sound]);
    await page.locator('#forget').click();
    await page.locator('#remembered').waitFor({ state: 'hidden' });
    await page.reload();
    await page.locator('#in-browser').waitFor();
    await page.locator('#sign-and-file').click();
    await outcome.getByText('Choisir d’abord').waitFor();
  }

  // By text instead of a file.
  if (!scripts) {
    await reader.go('/controller/file/access.report');
    await type(ACCESS);
    await review();
    await reviewed();
    const origin = await page.locator('#signing').getAttribute('data-origin');
    const filing = file('pasted.json', await page.locator('#draft').textContent());
    const signed = run('greffe', 'sign', filing, '--key', key, '--aud', origin);
    await page.locator('#upload-text').fill(signed.stdout);
    await page.locator('form[action="/controller/upload"] button').click();
    await page.getByRole('heading', { name: 'Inscrit au registre' }).waitFor();
    assert.equal(await size(), at + 3);
  }

  verifyLedger();
  const written = forms(pem);
  assert.ok(written.every((form) => form.length >= 32));
  for (const request of sent) {
    const body = request.postDataBuffer()?.toString('latin1') ?? '';
    const all = [request.url(), body, JSON.stringify(request.headers())].join('\n');
    const decoded = decodeURIComponent(all.replace(/%(?![0-9a-f]{2})/gi, '%25'));
    for (const form of written) {
      assert.ok(!all.includes(form) && !decoded.includes(form), `${request.url()} holds the key`);
    }
  }
  assert.ok(sent.some((r) => r.method() === 'POST'), 'requests were seen');
  await reader.close();
});
