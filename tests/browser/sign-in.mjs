// People sign in with a real provider, and whatever is not a sound sign-in signs nobody in.
//
// `--provider URL`: the provider. `--down URL`: a service whose provider does not answer.
// `--strict URL`: a service that asks for a level of assurance its provider does not give.

import { argument, assert, journey, scripts, service } from './harness.mjs';

const provider = argument('provider');
const suffix = scripts ? '' : '-no-scripts';

/** From the page of sign-in to the provider's, by the form alone. */
async function toProvider(reader, at = service) {
  const { page, context } = reader;
  // Else the provider, who knows the reader from before, asks nothing.
  await context.clearCookies({ name: /^_/ });
  await page.goto(`${at}/signin`);
  await page.locator('form:not(:has([name=person])):has([name=form]) button').click();
  await page.waitForURL(`${provider}/choose/**`);
}

/** The provider's answer for a person, as an address that the browser does not open yet. */
async function answerOf({ page, context }, person) {
  let at = `${page.url()}/${person}`;
  let response = await context.request.post(at, { maxRedirects: 0 });
  for (;;) {
    at = new URL(response.headers().location, at).href;
    if (at.startsWith(`${service}/`)) return at;
    response = await context.request.get(at, { maxRedirects: 0 });
  }
}

const choose = (page, label) => page.getByRole('button', { name: label, exact: true }).click();

const signedIn = (page) => page.locator('form[action="/signout"]').count();

/**
 * What the reader does ends on a page of that status at that service; redirections on the way
 * there do not count.
 */
async function answered(page, status, act, at = service) {
  const [response] = await Promise.all([
    page.waitForResponse(
      (response) =>
        response.url().startsWith(`${at}/signin`) &&
        response.request().isNavigationRequest() &&
        (response.status() < 300 || response.status() >= 400),
    ),
    act(),
  ]);
  assert.equal(response.status(), status, `${response.url()}: status`);
}

/** The reader is told why, nobody is signed in, and the way on is there. */
async function refused(reader, words) {
  const { page } = reader;
  await page.waitForURL((url) => url.origin === new URL(service).origin);
  const text = await page.locator('main').innerText();
  assert.match(text, words);
  assert.ok((await page.locator('main a').count()) > 0, 'a way on');
  await reader.go('/');
  assert.equal(await signedIn(page), 0, 'nobody is signed in');
}

await journey(async ({ open }) => {
  // The pages below are refusals, which Chromium writes on its console.
  const expected = /the server responded with a status of (403|429|502)/;
  const reader = await open({ elsewhere: [provider], expected });
  const { page, context } = reader;

  // A citizen, and the same one again after signing out.
  await toProvider(reader);
  let answer;
  page.on('request', (request) => {
    if (request.url().startsWith(`${service}/signin/callback`)) answer = request.url();
  });
  await choose(page, 'Une salariée');
  await page.waitForURL((url) => url.origin === new URL(service).origin);
  assert.equal(await signedIn(page), 1, 'the citizen is signed in');
  assert.ok(!(await page.content()).includes('Invention'), 'no name is kept or shown');
  await reader.picture(`sign-in-citizen${suffix}`);
  const cookies = await context.cookies(service);
  const session = cookies.find(({ name }) => name === 'greffe-session');
  assert.ok(session.httpOnly && session.sameSite === 'Lax', 'scripts and other sites do not see it');

  // The same answer of the provider once more: it was for one sign-in, which is over.
  const used = answer;
  await context.clearCookies({ name: 'greffe-session' });
  await answered(page, 403, () => page.goto(used));
  await refused(reader, /Rouvrir la page|recommencer/i);

  // Signing out ends it on the server: the cookie put back is worth nothing.
  await context.addCookies([session]);
  await reader.go('/');
  assert.equal(await signedIn(page), 1, 'the session was still there');
  await page.locator('form[action="/signout"] button').click();
  await page.locator('a[href="/signin"]').first().waitFor();
  await context.addCookies([session]);
  await reader.go('/');
  assert.equal(await signedIn(page), 0, 'the old cookie is worth nothing');

  // A code that was used before, under a state of one's own.
  await toProvider(reader);
  const stolen = new URL(await answerOf(reader, 'salariee'));
  stolen.searchParams.set('code', new URL(used).searchParams.get('code'));
  await answered(page, 403, () => page.goto(stolen.href));
  await refused(reader, /n’a pas confirmé/);

  // A state that is not this browser's.
  await toProvider(reader);
  const forged = new URL(await answerOf(reader, 'salariee'));
  forged.searchParams.set('state', 'somebody-elses');
  await answered(page, 403, () => page.goto(forged.href));
  await refused(reader, /n’est plus valable/);

  // Whoever is led to the end of a sign-in that another browser began.
  const other = await open({ elsewhere: [provider], expected });
  await toProvider(other);
  const theirs = await answerOf(other, 'salariee');
  await answered(page, 403, () => page.goto(theirs));
  await refused(reader, /n’est plus valable/);
  await other.close();

  // Who cannot be known, who gives up, whose party is not registered.
  for (const [label, words] of [
    ['Une personne sans date de naissance', /birthdate/],
    ['Une personne dont le jour de naissance n’est pas connu', /birthdate/],
    ['Un agent d’un organisme inconnu', /n’est pas inscrit/],
    ['Renoncer', /n’a pas confirmé/],
  ]) {
    await toProvider(reader);
    await answered(page, 403, () => choose(page, label));
    await refused(reader, words);
    await context.clearCookies();
  }
  await reader.picture(`sign-in-refused${suffix}`);

  // Somebody born abroad, and agents by the claim the provider vouches for.
  for (const [label, who] of [
    ['Une personne née à l’étranger', 'Mon espace'],
    ['Une agente de la caisse', 'Partie caisse'],
    ['Un agent de l’autorité', 'Partie cnil'],
  ]) {
    await toProvider(reader);
    await choose(page, label);
    await page.waitForURL((url) => url.origin === new URL(service).origin);
    assert.ok((await page.locator('.who').innerText()).includes(who), `${label} is ${who}`);
    await context.clearCookies();
  }

  // A level of assurance that the provider does not reach.
  const strict = argument('strict');
  const wary = await open({ elsewhere: [provider, strict], expected });
  await wary.page.goto(`${strict}/signin`);
  await wary.page.locator('form:has([name=form]) button').click();
  await wary.page.waitForURL(`${provider}/choose/**`);
  await answered(wary.page, 403, () => choose(wary.page, 'Une salariée'), strict);
  await wary.page.waitForURL(`${strict}/**`);
  assert.match(await wary.page.locator('main').innerText(), /pas assez sûr/);
  await wary.close();

  // A provider that does not answer.
  const down = argument('down');
  const alone = await open({ elsewhere: [down], expected });
  await alone.page.goto(`${down}/signin`);
  const begin = alone.page.locator('form:has([name=form]) button');
  await answered(alone.page, 502, () => begin.click(), down);
  await alone.page.getByText('ne répond pas').waitFor();
  await alone.close();

  await reader.close();
});
