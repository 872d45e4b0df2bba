// A real OpenID Connect provider, shaped as FranceConnect: code flow with PKCE, the client's
// secret in the body, signed user information, a level of assurance.
//
// `node browser/provider.mjs SERVICE…` listens on a free port and prints its issuer as its first
// line. Its people are those of people.mjs; whoever signs in chooses one.

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import { PEOPLE } from './people.mjs';

const services = process.argv.slice(2);
const CLAIMS = [
  'given_name',
  'family_name',
  'gender',
  'birthdate',
  'birthplace',
  'birthcountry',
];

function configuration() {
  return {
    clients: [
      {
        client_id: 'greffe',
        client_secret: 'a secret of the tests',
        redirect_uris: services.map((service) => `${service}/signin/callback`),
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_post',
        userinfo_signed_response_alg: 'RS256',
      },
    ],
    clientAuthMethods: ['client_secret_post'],
    acrValues: ['eidas1'],
    // Each claim is asked for by a scope of its name, as FranceConnect has it; the party of an
    // agent goes with the identity itself.
    claims: { acr: null, openid: ['sub', 'greffe_party'], ...Object.fromEntries(CLAIMS.map((claim) => [claim, [claim]])) },
    scopes: ['openid', ...CLAIMS],
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, jwtUserinfo: { enabled: true } },
    interactions: { url: (_context, interaction) => `/choose/${interaction.uid}` },
    // Nobody is asked whether they consent: what is told is what the law lets this service ask.
    async loadExistingGrant(context) {
      const { client, session, provider } = context.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(['openid', ...CLAIMS].join(' '));
      await grant.save();
      return grant;
    },
    async findAccount(_context, id) {
      const { label, ...claims } = PEOPLE[id] ?? {};
      return label && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
    },
    cookies: { keys: ['a key of the tests'] },
    ttl: { Session: 3600, Interaction: 3600, Grant: 3600, AccessToken: 60, IdToken: 60 },
  };
}

const page = (uid) => `<!doctype html><html lang="fr"><meta charset="utf-8"><title>Fournisseur</title>
<link rel="icon" href="data:,"><h1>Qui êtes-vous ?</h1>${Object.entries(PEOPLE)
    .map(
      ([id, { label }]) =>
        `<form method="post" action="/choose/${uid}/${id}"><button>${label}</button></form>`,
    )
    .join('')}<form method="post" action="/choose/${uid}/-"><button>Renoncer</button></form></html>`;

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration());
  const answer = provider.callback();
  server.on('request', async (request, response) => {
    const [, choose, uid, person] = new URL(request.url, issuer).pathname.split('/');
    if (choose !== 'choose') return answer(request, response);
    try {
      if (person === undefined) {
        response.setHeader('content-type', 'text/html; charset=utf-8');
        return response.end(page(uid));
      }
      const result = PEOPLE[person]
        ? { login: { accountId: person, acr: 'eidas1', remember: false } }
        : { error: 'access_denied', error_description: 'given up' };
      return await provider.interactionFinished(request, response, result);
    } catch (error) {
      response.statusCode = 500;
      return response.end(String(error));
    }
  });
  console.log(issuer);
});
