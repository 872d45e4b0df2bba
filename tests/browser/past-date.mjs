// A visitor reads a processing as it was on a past date, by keyboard alone.

import { assert, journey, scripts } from './harness.mjs';

await journey(async ({ open }) => {
  const reader = await open();
  const { page } = reader;
  const on = async (link) => {
    await reader.tabTo(link);
    await page.keyboard.press('Enter');
  };
  await reader.go('/');
  // The first stop leads past what every page repeats.
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '#main');
  await on(page.locator('nav.main a[href="/register"]'));
  await page.waitForURL('**/register');
  await on(page.locator('.tiles a[href="/register/processings"]'));
  await page.waitForURL('**/register/processings');
  await on(page.locator('.rows a[href="/register/processings/anaiss"]'));
  await page.waitForURL('**/register/processings/anaiss');
  const entries = () => page.locator('.timeline > li').evaluateAll((all) => all.map((e) => e.id));
  const now = await entries();
  assert.ok(now.length > 3, 'the affair has a history');
  assert.equal(await page.locator('[role=status]').count(), 0, 'no date is asked for');

  await reader.tabTo(page.locator('#as_of'));
  // The order of a date field's parts is the browser's language's.
  const order = await page.evaluate(() =>
    new Intl.DateTimeFormat(navigator.language).formatToParts(new Date()).map((p) => p.type),
  );
  const parts = { day: '31', month: '12', year: '2004' };
  const typed = (types) => types.map((type) => parts[type] ?? '').join('');
  await page.keyboard.type(typed(order));
  if ((await page.locator('#as_of').inputValue()) !== '2004-12-31') {
    // Its own language rather than the page's.
    await page.locator('#as_of').press('ArrowLeft');
    await page.locator('#as_of').press('ArrowLeft');
    await page.keyboard.type(typed(['month', 'day', 'year']));
  }
  assert.equal(await page.locator('#as_of').inputValue(), '2004-12-31');
  await on(page.locator('form.dated button'));
  await page.waitForURL('**/register/processings/anaiss?as_of=2004-12-31*');
  const notice = await page.locator('.note[role=status]').first().innerText();
  assert.match(notice, /31 décembre 2004/);
  const then = await entries();
  assert.ok(then.length < now.length, 'what came later is not shown');
  assert.deepEqual(then.filter((entry) => !now.includes(entry)), [], 'nothing else is shown');
  await reader.picture(`past-date${scripts ? '' : '-no-scripts'}`);

  // And back to what is known now.
  await on(page.locator('.note[role=status] a'));
  await page.waitForURL((url) => url.search === '');
  assert.deepEqual(await entries(), now);
  await reader.close();
});
