// Makes the frozen vectors, and the worked example of docs/format.md, without our Rust.
//
//   node tests/vectors/make.mjs           writes them
//   node tests/vectors/make.mjs --check   compares with what is there, exit 1 if it differs
//
// Everything is derived from fixed texts, so the bytes are the same each time. A change of
// the bytes is a new version of the format: yesterday's vectors stay.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { blake3 } from '@noble/hashes/blake3';
import * as ed from './ed25519.mjs';

const utf8 = (text) => Buffer.from(text, 'utf8');
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const b64 = (bytes) => Buffer.from(bytes).toString('base64url');
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const derive = (context, text) => Buffer.from(blake3(utf8(text), { context }));
const assert = (claim, what) => { if (!claim) throw new Error(what); };

/** RFC 8785 for values whose numbers are integers; JSON.stringify has its escapes. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`);
  return `{${members.join(',')}}`;
}

const ORIGIN = 'registre.example/absences';
const partyKey = (party) => ed.keyOf(derive('greffe v1 simulated party key', party));
const ledgerKey = ed.keyOf(derive('greffe v1 vectors', 'ledger key'));
const nextKey = ed.keyOf(derive('greffe v1 vectors', 'next ledger key'));
const otherKey = ed.keyOf(derive('greffe v1 vectors', 'another ledger key'));
const random = (what) => derive('greffe v1 vectors', what).subarray(0, 16);
const describeKey = (key) => ({ seed: hex(key.seed), jwk: key.jwk, kid: key.kid });

// ---------------------------------------------------------------- filings

const disclosure = (...parts) => b64(utf8(canonical(parts)));
const digestOf = (encoded) => b64(sha256(utf8(encoded)));
const salt = (n) => b64(random(`salt ${n}`));

/** A compact SD-JWT. `header`, `payload` and `signature` may be given as they must travel. */
function filing(key, payload, disclosures = [], change = {}) {
  const header = change.header ?? b64(utf8(canonical({ alg: 'EdDSA', kid: key.kid, typ: 'greffe-filing+sd-jwt' })));
  const body = change.payload ?? b64(utf8(typeof payload === 'string' ? payload : canonical(payload)));
  const input = `${header}.${body}`;
  const signature = change.signature?.(input) ?? b64((change.signer ?? key).sign(input));
  return `${input}.${signature}~${disclosures.map((d) => `${d}~`).join('')}`;
}

const IAT = 1795291200; // 2026-11-21T20:00:00Z
const claims = (iss, kind, body, more = {}) => ({
  iss, aud: ORIGIN, iat: IAT, jti: `${iss}-${kind}-1`, kind, evidence: 'act', body, _sd_alg: 'sha-256', ...more,
});
const jwtOf = (text) => text.slice(0, text.indexOf('~'));
const digestOfFiling = (text) => hex(blake3(utf8(jwtOf(text))));

// ---------------------------------------------------------------- seal

const registrar = partyKey('greffe');
const controller = partyKey('caisse-exemple');

const enrolment = (party, key) => b64(key.sign(`greffe v1 enrol\n${ORIGIN}\n${party}\n${key.kid}\n`));
const registration = {
  party: 'caisse-exemple', name: 'Caisse d’assurance maladie (exemple)', roles: ['controller'],
  key: controller.jwk, proof: enrolment('caisse-exemple', controller),
};
const declaration = {
  processing: 'suivi-arrets', title: 'Suivi des arrêts de travail',
  purposes: [{ code: 'PUR-EMPLOYER-AWARENESS', main: true }], categories: [{ code: 'ABS-RATE', retention_days: 365 }],
  subjects: ['salariés'], recipients: [{ role: 'R-EMPLOYER-MGMT' }], legal_basis: ['A6-1-E'],
};
const subject = b64(derive('greffe v1 vectors', 'a subject reference'));
const subjectDisclosure = disclosure(salt('subject'), 'subject', subject);
const agreement = { processing: 'suivi-arrets', scope: 'visite de l’employeur', _sd: [digestOf(subjectDisclosure)] };
const milestone = { about: { type: 'processing', id: 'suivi-arrets' }, milestone: 'launch-planned' };

const filings = [
  filing(registrar, claims('greffe', 'party.register', registration, { at: '2026-11-21' })),
  filing(controller, claims('caisse-exemple', 'processing.declare', declaration, { at: '2026-11', reference: 'registre interne, fiche 12' })),
  filing(controller, claims('caisse-exemple', 'agreement.record', agreement, { at: '2026-11-20' }), [subjectDisclosure]),
  filing(controller, claims('caisse-exemple', 'milestone.record', milestone, { evidence: 'statement' })),
];
const batchDisclosures = [1, 2].map((n) => disclosure(salt(`batch ${n}`), 'subject', b64(derive('greffe v1 vectors', `subject ${n}`))));
const batch = batchDisclosures.map((d) => ({ ...agreement, _sd: [digestOf(d)] }));
filings.push(filing(controller, claims('caisse-exemple', 'agreement.record', batch, { at: '2026-11-20', jti: 'caisse-exemple-batch' }), batchDisclosures));
const AT = {
  '2026-11-21': ['2026-11-21', '2026-11-21'], '2026-11': ['2026-11-01', '2026-11-30'], '2026-11-20': ['2026-11-20', '2026-11-20'],
};
/** `event.data`, a function of the filing's item. */
function eventData(text, item) {
  const payload = JSON.parse(Buffer.from(text.split('.')[1], 'base64url'));
  const at = payload.at ?? null;
  const [earliest, latest] = at === null ? [null, null] : AT[at];
  return {
    at: { earliest, latest, text: at }, body: Array.isArray(payload.body) ? payload.body[item] : payload.body,
    evidence: payload.evidence, iss: payload.iss, kind: payload.kind,
    ...(payload.reference === undefined ? {} : { reference: payload.reference }),
  };
}

const opened = {
  clock: 'real', ledger_key: ledgerKey.jwk, opened_at: '2026-11-21T20:00:00.000000Z', origin: ORIGIN,
  registrar: { key: registrar.jwk, party: 'greffe' },
};
const events = [
  ['LedgerOpened', opened, null, 'ledger', 'ledger'],
  ['PartyRegistered', eventData(filings[0], 0), filings[0], 'party', 'caisse-exemple'],
  ['ProcessingDeclared', eventData(filings[1], 0), filings[1], 'processing', 'suivi-arrets'],
  ['SubjectAgreed', eventData(filings[2], 0), filings[2], 'processing', 'suivi-arrets'],
  ['MilestoneRecorded', eventData(filings[3], 0), filings[3], 'processing', 'suivi-arrets'],
  ['LedgerKeyRotated', { ledger_key: nextKey.jwk }, null, 'ledger', 'ledger'],
  ['SubjectAgreed', eventData(filings[4], 0), filings[4], 'processing', 'suivi-arrets', 0],
  ['SubjectAgreed', eventData(filings[4], 1), filings[4], 'processing', 'suivi-arrets', 1],
];
const entryText = (origin, position, link) => `greffe v1 entry\n${origin}\n${position}\n${link}\n`;
const headText = (origin, size, link) => `greffe v1 head\n${origin}\n${size}\n${link}\n`;
const linkOf = (leaf) => hex(derive('greffe v1 entry link', leaf));

function seal(leaf, position, { key = ledgerKey, kid = key.kid, origin = ORIGIN } = {}) {
  const link = linkOf(leaf);
  const text = entryText(origin, position, link);
  return { leaf, link, text, signature: b64(key.sign(text)), key: kid };
}

const line = ({ leaf, link, signature, key }) => `{"leaf":${leaf},"link":"${link}","signature":"${signature}","key":"${key}"}`;
const versions = new Map();
const entries = [];
let prev = '0'.repeat(64);
const leaves = [];
let signer = ledgerKey;
for (const [position, [type, data, text, stream, id, item = 0]] of events.entries()) {
  const version = (versions.get(`${stream} ${id}`) ?? 0) + 1;
  versions.set(`${stream} ${id}`, version);
  const leaf = {
    event: { data, type, version: 1 }, filing: text && { digest: digestOfFiling(text), item }, nonce: b64(random(`nonce ${position}`)),
    origin: ORIGIN, position, prev, rulebook: '2026-11-21', stream: { id, type: stream, version },
    time: `2026-11-21T20:14:2${position}.123456Z`, v: 1,
  };
  leaves.push(leaf);
  entries.push({ position, prev, ...seal(canonical(leaf), position, { key: signer }) });
  if (type === 'LedgerKeyRotated') signer = nextKey;
  prev = entries[position].link;
}
const head = (size, link, key = nextKey, text = headText(ORIGIN, size, link)) => ({ size, link, text, signature: b64(key.sign(text)), key: key.kid });
const goodHead = head(entries.length, prev);

const AT_2 = { position: 2, prev: entries[2].prev };
const leafOf2 = (change) => canonical({ ...leaves[2], ...change });
const raiseS = (signature) => {
  const bytes = Buffer.from(signature, 'base64url');
  return b64(Buffer.concat([bytes.subarray(0, 32), ed.toBytes(ed.littleEndian(bytes.subarray(32)) + ed.L)]));
};
const flip = (signature) => { const b = Buffer.from(signature, 'base64url'); b[40] ^= 1; return b64(b); };
const bad = (name, fault, sealed, why) => ({ name, fault, ...AT_2, ...sealed, why });
const badEntries = [
  bad('not re-signed after the key rotation', 'key', { position: 6, prev: entries[6].prev, ...seal(entries[6].leaf, 6) }, 'the old key signs nothing after the entry that names the new one'),
  bad('flipped leaf byte', 'link', { ...entries[2], leaf: entries[2].leaf.replace('Suivi', 'Suivj') }, 'still a canonical leaf; the link is of other bytes'),
  bad('wrong link', 'link', { ...entries[2], link: entries[3].link }, 'the link of another entry'),
  bad('wrong prev', 'prev', seal(leafOf2({ prev: entries[0].link }), 2), 'sealed with the right key over a chain that skips an entry'),
  bad('wrong position', 'position', seal(leafOf2({ position: 3 }), 3), 'a sealed entry of another position in this place'),
  bad('wrong origin', 'origin', seal(leafOf2({ origin: 'autre.example/absences' }), 2, { origin: 'autre.example/absences' }), 'an entry of another ledger with the same key'),
  bad('non-canonical leaf: white space', 'leaf-not-canonical', seal(entries[2].leaf.replace('"v":1', '"v": 1'), 2), 'another spelling of the same value'),
  bad('non-canonical leaf: member order', 'leaf-not-canonical', seal(entries[2].leaf.replace(/^\{("event":.*),"filing":(\{[^}]*\}),/, '{"filing":$2,$1,'), 2), '`filing` before `event`'),
  bad('non-canonical leaf: escape', 'leaf-not-canonical', seal(entries[2].leaf.replace('Suivi', '\\u0053uivi'), 2), 'an escape RFC 8785 does not use'),
  bad('leaf with a duplicate key', 'leaf-json', seal(entries[2].leaf.replace('"v":1', '"v":1,"v":1'), 2), 'two readers could read two values'),
  bad('leaf with a float', 'leaf-json', seal(entries[2].leaf.replace('"v":1', '"v":1.0'), 2), 'no floating point anywhere'),
  bad('extra member', 'leaf-member', seal(leafOf2({ w: 1 }), 2), 'a leaf has exactly ten members'),
  bad('missing member', 'leaf-member', seal(canonical(Object.fromEntries(Object.entries(leaves[2]).filter(([k]) => k !== 'rulebook'))), 2), 'a leaf has exactly ten members'),
  bad('unknown version', 'leaf-member', seal(leafOf2({ v: 2 }), 2), 'this reader knows version 1'),
  bad('short nonce', 'leaf-member', seal(leafOf2({ nonce: b64(random('nonce 2').subarray(0, 15)) }), 2), 'a nonce has 16 bytes'),
  bad('upper-case prev', 'leaf-member', seal(leafOf2({ prev: entries[2].prev.toUpperCase() }), 2), 'hexadecimal is lower case'),
  bad('time in milliseconds', 'leaf-member', seal(leafOf2({ time: '2026-11-21T20:14:22.123Z' }), 2), 'six digits, always'),
  bad('wrong signature', 'signature', { ...entries[2], signature: flip(entries[2].signature) }, 'one bit of S'),
  bad('signature for another position', 'signature', { ...entries[2], signature: b64(ledgerKey.sign(entryText(ORIGIN, 1, entries[2].link))) }, 'the text signed names position 1'),
  bad('signature as a head', 'signature', { ...entries[2], signature: b64(ledgerKey.sign(headText(ORIGIN, 2, entries[2].link))) }, 'a head is never taken for an entry'),
  bad('S + L', 'signature', { ...entries[2], signature: raiseS(entries[2].signature) }, 'the second spelling of a signature'),
  bad('other key', 'key', seal(entries[2].leaf, 2, { key: otherKey }), 'a key the ledger never had'),
  bad('other key under the ledger’s kid', 'signature', seal(entries[2].leaf, 2, { key: otherKey, kid: ledgerKey.kid }), 'the kid is right and the signature is not its'),
];
assert(badEntries[7].leaf.startsWith('{"filing"'), 'the member order changed');
const sealVectors = {
  about: 'Format version 1. See README.md. `fault` is the check that must fail first; `text` is what was signed.',
  origin: ORIGIN, ledger_key: describeKey(ledgerKey), next_ledger_key: describeKey(nextKey), other_key: describeKey(otherKey),
  party_keys: { greffe: describeKey(registrar), 'caisse-exemple': describeKey(controller) },
  filings: filings.map((text) => ({ filing: jwtOf(text), digest: digestOfFiling(text) })),
  disclosures: [[3, subjectDisclosure], [6, batchDisclosures[0]], [7, batchDisclosures[1]]].map(([position, d]) => ({ position, disclosure: d, digest: digestOf(d) })),
  good: entries.map((e) => ({ ...e, line: line(e) })), hidden: { position: 1, line: line(entries[1]).replace(/^\{.*,("link":)/, '{$1') }, head: goodHead, bad: badEntries,
  bad_heads: [
    { name: 'one entry more', ...goodHead, size: goodHead.size + 1, why: 'the size signed is another' },
    { name: 'another link', ...goodHead, link: entries[3].link, why: 'the link signed is another' },
    { name: 'signed as an entry', ...goodHead, signature: b64(ledgerKey.sign(entryText(ORIGIN, goodHead.size, goodHead.link))), why: 'an entry is never taken for a head' },
    { name: 'other key', ...head(goodHead.size, goodHead.link, otherKey), why: 'a key the ledger never had' },
    { name: 'the key before the rotation', ...head(goodHead.size, goodHead.link, ledgerKey), why: 'no longer the ledger’s key' },
  ],
};

// ---------------------------------------------------------------- filing vectors

const ISS = 'caisse-exemple';
const K = controller;
const agree = (body = agreement, more = {}) => claims(ISS, 'agreement.record', body, { at: '2026-11-20', ...more });
const declare = (change = {}, more = {}) => claims(ISS, 'processing.declare', { ...declaration, ...change }, more);
const agreed = [subjectDisclosure];
const header = (change) => ({ header: b64(utf8(canonical({ alg: 'EdDSA', kid: K.kid, typ: 'greffe-filing+sd-jwt', ...change }))) });
const access = (more) => claims(ISS, 'access.report', {
  processing: 'suivi-arrets', purpose: 'PUR-EMPLOYER-AWARENESS', categories: ['ABS-RATE'],
  recipient: { party: 'employeur-exemple', role: 'R-EMPLOYER-MGMT' }, basis: { codes: ['UNSTATED'] }, channel: 'visit', ...more,
});
const element = disclosure(salt('element'), subject);
const agent = disclosure(salt('agent'), 'agent', 'conseillère de la caisse');
const note = disclosure(salt('note'), 'note', 'joindre par contact@exemple.fr ou au 01 99 00 00 00');
const second = disclosure(salt('second'), 'subject', subject);
const spaced = b64(utf8(`["${salt('spaced')}", "subject", "${subject}"]`));
const text = (...args) => filing(K, ...args);
const nest = (levels) => '['.repeat(levels) + ']'.repeat(levels);
const raw = (from, to, payload = canonical(declare())) => { assert(payload.includes(from), `no ${from}`); return payload.replace(from, to); };
const nir = (() => { const body = '1000199999999'; return body + String(97n - (BigInt(body) % 97n)).padStart(2, '0'); })();

const good = [
  ['as signed by the project', text(agree(), agreed)],
  ['alg Ed25519 (RFC 9864)', text(agree(), agreed, header({ alg: 'Ed25519' }))],
  ['no date: any day up to the recording', text(declare())],
  ['payload in another order, with white space', text(JSON.stringify(agree(), null, 2), agreed)],
  ['disclosure with white space, as RFC 9901 writes it', text(agree({ ...agreement, _sd: [digestOf(spaced)] }), [spaced])],
  ['batch of two', text(claims(ISS, 'agreement.record', [agreement, { ...agreement, _sd: [digestOf(second)] }], { at: '2026-11-20' }), [...agreed, second])],
  ['concealed elements and members', text(access({ subjects: [{ '...': digestOf(element) }], recipient: { party: 'employeur-exemple', role: 'R-EMPLOYER-MGMT', _sd: [digestOf(agent)] } }), [element, agent])],
  ['personal data inside a disclosure', text(claims(ISS, 'milestone.record', { ...milestone, _sd: [digestOf(note)] }, { evidence: 'statement' }), [note])],
  ['an optional concealed member left out', text(claims(ISS, 'milestone.record', milestone, { evidence: 'statement' }))],
].map(([name, t]) => {
  const payload = JSON.parse(Buffer.from(t.split('.')[1], 'base64url'));
  return {
    name, text: t, digest: digestOfFiling(t), items: Array.isArray(payload.body) ? payload.body.length : 1,
    disclosures: t.split('~').slice(1, -1).map((d) => ({ disclosure: d, digest: digestOf(d) })),
  };
});

const kb = `${b64(utf8('{"alg":"EdDSA","typ":"kb+jwt"}'))}.${b64(utf8('{}'))}.${b64(K.sign('kb'))}`;
const token = (() => {
  const input = `${header({ typ: 'greffe-token+jwt' }).header}.${b64(utf8(canonical({ iss: ISS, aud: ORIGIN, iat: IAT, jti: 't-1' })))}`;
  return `${input}.${b64(K.sign(input))}`;
})();
const padded = ['a', 'ab', 'abc'].map((jti) => b64(utf8(canonical(declare({}, { jti }))))).filter((p) => p.length % 4)
  .map((p) => p.padEnd(Math.ceil(p.length / 4) * 4, '='))[0];
/** The next letter differs only in bits that decode to nothing. */
const lastLetter = (encoded) => { const abc = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'; return encoded.slice(0, -1) + abc[abc.indexOf(encoded.at(-1)) + 1]; };
const agreeText = text(agree(), agreed);
const withDisclosures = (...d) => `${jwtOf(agreeText)}~${d.map((x) => `${x}~`).join('')}`;
const short = disclosure(b64(random('short').subarray(0, 15)), 'subject', subject);
const nested = disclosure(salt('nested'), 'subject', { _sd: [digestOf(second)] });
const one = (d) => text(agree({ ...agreement, _sd: [digestOf(d)] }), [d]);
const decoy = b64(sha256(utf8('decoy')));
const scope = disclosure(salt('scope'), 'scope', 'visite');
const unasked = disclosure(salt('unasked'), 'subject', b64(sha256(utf8('another subject'))));
const unknown = disclosure(salt('unknown'), 'nickname', 'x');

const refused = [
  ['alg none', 'malformed', text(declare(), [], header({ alg: 'none' }))],
  ['alg none, no signature', 'malformed', text(declare(), [], { ...header({ alg: 'none' }), signature: () => '' })],
  ['alg HS256', 'malformed', text(declare(), [], header({ alg: 'HS256' }))],
  ['extra header member', 'malformed', text(declare(), [], header({ jku: 'x' }))],
  ['header without kid', 'malformed', text(declare(), [], { header: b64(utf8('{"alg":"EdDSA","typ":"greffe-filing+sd-jwt"}')) })],
  ['kid that is no thumbprint', 'malformed', text(declare(), [], header({ kid: 'caisse-exemple' }))],
  ['wrong typ', 'malformed', text(declare(), [], header({ typ: 'dc+sd-jwt' }))],
  ['token used as a filing', 'malformed', `${token}~`],
  ['token as it travels', 'malformed', token],
  ['padded base64url', 'malformed', text(null, [], { payload: padded })],
  ['non-canonical base64url in the signature', 'malformed', text(declare(), [], { signature: (input) => lastLetter(b64(K.sign(input))) })],
  ['standard base64 alphabet', 'malformed', text(declare(), [], { signature: (input) => `+/${b64(K.sign(input)).slice(2)}` })],
  ['signature of 63 bytes', 'malformed', text(declare(), [], { signature: (input) => b64(K.sign(input).subarray(0, 63)) })],
  ['four parts', 'malformed', `${jwtOf(text(declare()))}.AA~`],
  ['missing trailing ~', 'malformed', jwtOf(text(declare()))],
  ['missing trailing ~ after a disclosure', 'malformed', agreeText.slice(0, -1)],
  ['key-binding JWT appended', 'malformed', agreeText + kb],
  ['key-binding JWT as a disclosure', 'malformed', withDisclosures(subjectDisclosure, kb)],
  ['empty disclosure', 'malformed', `${agreeText}~`],
  ['duplicate disclosure', 'disclosure-unexpected', withDisclosures(subjectDisclosure, subjectDisclosure)],
  ['decoy digest', 'disclosure-missing', text(agree({ ...agreement, _sd: [digestOf(subjectDisclosure), decoy] }), agreed)],
  ['truncated: no disclosure at all', 'disclosure-missing', withDisclosures()],
  ['extra disclosure', 'disclosure-unexpected', withDisclosures(subjectDisclosure, unasked)],
  ['the same digest twice', 'disclosure-unexpected', text(agree({ ...agreement, _sd: [digestOf(subjectDisclosure), digestOf(subjectDisclosure)] }), agreed)],
  ['the same field disclosed twice', 'disclosure-unexpected', text(agree({ ...agreement, _sd: [digestOf(subjectDisclosure), digestOf(second)] }), [...agreed, second])],
  ['disclosed and in clear', 'disclosure-unexpected', text(agree({ ...agreement, subject }), agreed)],
  ['an array element’s disclosure for a member', 'disclosure-unexpected', one(element)],
  ['a member’s disclosure for an array element', 'disclosure-unexpected', text(access({ subjects: [{ '...': digestOf(second) }] }), [second])],
  ['`...` with company', 'disclosure-unexpected', text(access({ subjects: [{ '...': digestOf(element), x: 1 }] }), [element])],
  ['a clear field concealed', 'disclosure-unexpected', text(agree({ processing: 'suivi-arrets', _sd: [digestOf(subjectDisclosure), digestOf(scope)].sort() }), [...agreed, scope])],
  ['an unknown field concealed', 'disclosure-unexpected', text(agree({ ...agreement, _sd: [digestOf(subjectDisclosure), digestOf(unknown)].sort() }), [...agreed, unknown])],
  ['empty _sd', 'malformed', text(agree({ ...agreement, _sd: [] }))],
  ['short salt', 'malformed', one(short)],
  ['nested disclosure', 'malformed', one(nested)],
  ['disclosure of four parts', 'malformed', one(disclosure(salt('four'), 'subject', subject, 1))],
  ['disclosure that is not a list', 'malformed', one(b64(utf8('{}')))],
  ['float in a disclosure', 'number-not-integer', one(b64(utf8(`["${salt('float')}","subject",1.5]`)))],
  ['float', 'number-not-integer', text(raw('"retention_days":365', '"retention_days":365.0'))],
  ['exponent', 'number-not-integer', text(raw('"retention_days":365', '"retention_days":3e2'))],
  ['2^53', 'number-not-integer', text(raw('"retention_days":365', '"retention_days":9007199254740992'))],
  ['-2^53', 'number-not-integer', text(raw('"retention_days":365', '"retention_days":-9007199254740992'))],
  ['number as text', 'number-not-integer', text(raw('"retention_days":365', '"retention_days":"365"'))],
  ['duplicate keys', 'malformed', text(raw('"iat":', '"iat":1,"iat":'))],
  ['duplicate keys, one escaped', 'malformed', text(raw('"title":', '"\\u0074itle":"x","title":'))],
  ['U+0000', 'malformed', text(raw('Suivi', '\\u0000uivi'))],
  ['lone surrogate', 'malformed', text(raw('Suivi', '\\ud800uivi'))],
  ['depth 17', 'malformed', text(raw('"subjects":["salariés"]', `"subjects":${nest(15)}`))],
  ['invalid UTF-8', 'malformed', text(null, [], { payload: b64(Buffer.concat([utf8('{"iss":"'), Buffer.from([0xff]), utf8('"}')])) })],
  ['overlong UTF-8', 'malformed', text(null, [], { payload: b64(Buffer.concat([utf8('{"iss":"'), Buffer.from([0xc1, 0xa1]), utf8('"}')])) })],
  ['byte-order mark', 'malformed', text(`\ufeff${canonical(declare())}`)],
  ['text after the payload', 'malformed', text(`${canonical(declare())} 1`)],
  ['payload that is a list', 'field-missing', text('[]')],
  ['NIR in clear', 'personal-data-in-clear', text(declare({ title: `Suivi de ${nir}` }))],
  ['NIR in clear, spaced', 'personal-data-in-clear', text(declare({ title: `Suivi de ${nir.replace(/^(.)(..)(..)(..)(...)(...)(..)$/, '$1 $2 $3 $4 $5 $6 $7')}` }))],
  ['e-mail address in clear', 'personal-data-in-clear', text(declare({ title: 'Suivi, contact@exemple.fr' }))],
  ['telephone in clear', 'personal-data-in-clear', text(declare({ title: 'Suivi, 01 99 00 00 00' }))],
  ['telephone in the reference', 'personal-data-in-clear', text(declare({}, { reference: 'appel au +33 1 99 00 00 00' }))],
  ['concealable member in clear', 'personal-data-in-clear', text(agree({ processing: 'suivi-arrets', scope: 'visite', subject }))],
  ['concealable elements in clear', 'personal-data-in-clear', text(access({ subjects: [subject] }))],
  ['unknown code', 'code-unknown', text(declare({ legal_basis: ['A6-1-Z'] }))],
  ['unknown kind', 'code-unknown', text(declare({}, { kind: 'processing.forget' }))],
  ['unknown evidence', 'code-unknown', text(declare({}, { evidence: 'rumour' }))],
  ['unknown word', 'code-unknown', text(access({ subjects: [{ '...': digestOf(element) }], channel: 'pigeon' }), [element])],
  ['unknown member of the payload', 'field-unknown', text(declare({}, { exp: IAT + 60 }))],
  ['unknown member of the body', 'field-unknown', text(declare({ colour: 'blue' }))],
  ['missing member of the body', 'field-missing', text(raw(',"title":"Suivi des arrêts de travail"', ''))],
  ['missing jti', 'field-missing', text(raw(',"jti":"caisse-exemple-processing.declare-1"', ''))],
  ['missing _sd_alg', 'field-missing', text(raw('"_sd_alg":"sha-256",', ''))],
  ['another _sd_alg', 'field-missing', text(declare({}, { _sd_alg: 'sha-512' }))],
  ['individuals and a cohort', 'field-missing', text(access({ subjects: [{ '...': digestOf(element) }], cohort: { units: ['site-1'], cells: [] } }), [element])],
  ['empty batch', 'field-missing', text(claims(ISS, 'agreement.record', []))],
  ['iat as text', 'number-not-integer', text(declare({}, { iat: '1795291200' }))],
  ['at null', 'date-invalid', text(declare({}, { at: null }))],
  ['at that is no date', 'date-invalid', text(declare({}, { at: '2026-02-30' }))],
  ['at that ends before it starts', 'date-invalid', text(declare({}, { at: '2026-11/2026-10' }))],
  ['iss that is no id', 'identifier-invalid', text(declare({}, { iss: 'Caisse' }))],
  ['id in upper case', 'identifier-invalid', text(declare({ processing: 'Suivi-Arrets' }))],
  ['empty jti', 'malformed', text(declare({}, { jti: '' }))],
  ['flipped signature', 'signature-invalid', text(declare(), [], { signature: (input) => flip(b64(K.sign(input))) })],
  ['S + L', 'signature-invalid', text(declare(), [], { signature: (input) => raiseS(b64(K.sign(input))) })],
  ['signed by another key under this kid', 'signature-invalid', text(declare(), [], { signer: otherKey })],
  ['signed by another key under its kid', 'signature-invalid', text(declare(), [], { ...header({ kid: otherKey.kid }), signer: otherKey })],
  ['payload changed after signing', 'signature-invalid', (() => { const [h, , s] = text(declare()).split('.'); return `${h}.${b64(utf8(canonical(declare({ title: 'Autre' }))))}.${s}`; })()],
].map(([name, code, t]) => ({ name, code, text: t }));

const filingVectors = {
  about: 'Read with `key`; then the audience and the issue time are checked against `origin` and `now`. `code` is the refusal. See README.md.',
  origin: ORIGIN, key: describeKey(K), iss: ISS, now: '2026-11-21T20:00:00.000000Z', good, bad: refused,
  bad_in_context: [
    ['for another ledger', 'aud-mismatch', text(declare({}, { aud: 'autre.example/absences' }))],
    ['6 minutes ahead', 'iat-out-of-window', text(declare({}, { iat: IAT + 360 }))],
    ['24 hours and 1 second behind', 'iat-out-of-window', text(declare({}, { iat: IAT - 86401 }))],
  ].map(([name, code, t]) => ({ name, code, text: t })),
  good_in_context: [
    ['5 minutes ahead', text(declare({}, { iat: IAT + 300 }))],
    ['24 hours behind', text(declare({}, { iat: IAT - 86400 }))],
  ].map(([name, t]) => ({ name, text: t })),
  token: { text: token, used_as_filing: 'malformed' },
  filing_used_as_token: agreeText,
};

// ---------------------------------------------------------------- key vectors

const RFC8037 = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
const thumbprint = (x) => b64(sha256(utf8(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)));
const thumbprints = [
  { name: 'RFC 8037 appendix A.3', x: RFC8037, kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k' },
  { name: 'simulated party key of `cnil`', x: partyKey('cnil').jwk.x, kid: partyKey('cnil').kid, seed: hex(partyKey('cnil').seed) },
  { name: 'simulated party key of `greffe`', x: registrar.jwk.x, kid: registrar.kid, seed: hex(registrar.seed) },
  { name: 'ledger key of seal.json', x: ledgerKey.jwk.x, kid: ledgerKey.kid, seed: hex(ledgerKey.seed) },
];
for (const t of thumbprints) assert(thumbprint(t.x) === t.kid, t.name);

// The eight points of small order, in every 32-byte spelling: y below 2^255, either sign.
const smallYs = new Set();
const torsion = [];
for (let n = 0, seed = 0; torsion.length < 8; seed++) {
  const p = ed.decode(sha256(utf8(`point ${seed}`)));
  const t = p && ed.multiply(ed.L, p);
  if (t && !torsion.some((q) => q[0] === t[0] && q[1] === t[1])) torsion.push(t);
  assert(++n < 1000, 'eight torsion points');
}
for (const [, y] of torsion) { smallYs.add(y); if (y + ed.P < 2n ** 255n) smallYs.add(y + ed.P); }
const weak = [];
for (const y of [...smallYs].sort((a, b) => (a < b ? -1 : 1))) for (const sign of [0n, 1n]) {
  const bytes = ed.toBytes(y | (sign << 255n));
  const point = ed.decode(bytes);
  assert(point && ed.isSmallOrder(point), 'small order');
  weak.push({ hex: hex(bytes), x: b64(bytes), canonical: ed.encode(point).equals(bytes), code: 'key-weak' });
}
assert(weak.length === 14, `${weak.length} spellings of the small-order points`);
const notPoints = [2n, 7n, 8n].filter((y) => !ed.decode(ed.toBytes(y))).map((y) => ({ hex: hex(ed.toBytes(y)), x: b64(ed.toBytes(y)), code: 'identifier-invalid' }));
assert(notPoints.length > 0, 'bytes that are no point');
const x = RFC8037;
const badJwks = [
  ['extra member', { crv: 'Ed25519', kty: 'OKP', x, use: 'sig' }], ['missing crv', { kty: 'OKP', x }], ['other curve', { crv: 'X25519', kty: 'OKP', x }],
  ['other type', { crv: 'Ed25519', kty: 'EC', x }], ['secret part', { crv: 'Ed25519', d: x, kty: 'OKP', x }], ['padded', { crv: 'Ed25519', kty: 'OKP', x: `${x}=` }],
  ['31 bytes', { crv: 'Ed25519', kty: 'OKP', x: x.slice(0, 42) }], ['non-canonical base64url', { crv: 'Ed25519', kty: 'OKP', x: lastLetter(x) }],
].map(([name, jwk]) => ({ name, jwk, code: 'identifier-invalid' }));

const published = JSON.parse(readFileSync(new URL('speccheck.json', import.meta.url)));
const signatures = published.map((v, i) => ({ name: `speccheck ${i}`, ...v }));
const own = (name, publicKey, message, signature, why) => signatures.push({
  name, public_key: hex(publicKey), message: hex(message), signature: hex(signature), why });
const message = utf8('greffe');
const plain = K.sign(message);
const scalar = ed.secretScalar(K.seed);
const mod = (n) => ((n % ed.L) + ed.L) % ed.L;
own('an ordinary signature', K.bytes, message, plain, 'canonical, prime order: accepted');
own('S + L', K.bytes, message, Buffer.from(raiseS(b64(plain)), 'base64url'), 'S is not below L (RFC 8032 §5.1.7): refused');
for (const [name, bytes] of [['R is the identity', ed.encode(ed.IDENTITY)], ['R of order 8', ed.encode(torsion.find((t) => ![1n, 2n, 4n].some((n) => { const q = ed.multiply(n, t); return q[0] === 0n && q[1] === 1n; })))]]) {
  const S = mod(ed.challenge(bytes, K.bytes, message) * scalar);
  own(name, K.bytes, message, Buffer.concat([bytes, ed.toBytes(S)]), 'S = h·a; the equation holds, at least with the cofactor; R of small order: refused');
}
{
  const r = mod(ed.littleEndian(derive('greffe v1 vectors', 'r')));
  const T = torsion.find((t) => { const q = ed.multiply(4n, t); return !(q[0] === 0n && q[1] === 1n); });
  const R = ed.encode(ed.add(ed.multiply(r, ed.BASE), T));
  own('R of mixed order, key of prime order', K.bytes, message, Buffer.concat([R, ed.toBytes(mod(r + ed.challenge(R, K.bytes, message) * scalar))]), 'holds only with the cofactor: refused');
  // A mixed-order key and R whose small parts cancel: nothing but the holder's own oddity.
  const A = ed.encode(ed.add(ed.multiply(scalar, ed.BASE), T));
  for (let n = 0n; ; n++) {
    const rn = mod(r + n);
    const Rn = ed.encode(ed.multiply(rn, ed.BASE));
    const h = ed.challenge(Rn, A, message);
    if (h % 8n !== 0n) continue;
    own('key of mixed order, h a multiple of 8', A, message, Buffer.concat([Rn, ed.toBytes(mod(rn + h * scalar))]), 'the equation holds without the cofactor: accepted');
    break;
  }
}
for (const v of signatures) {
  const key = Buffer.from(v.public_key, 'hex');
  const point = ed.decode(key);
  v.key = !point ? 'identifier-invalid' : ed.isSmallOrder(point) ? 'key-weak' : 'ok';
  v.verify = ed.verifyStrict(key, Buffer.from(v.message, 'hex'), Buffer.from(v.signature, 'hex'));
  assert(v.verify === / accepted$/.test(v.why), `${v.name}: ${v.why}`);
}
const keyVectors = {
  about: '`key` is what reading the public key answers; `verify` what strict verification answers. See README.md.',
  thumbprints, weak, not_points: notPoints, bad_jwks: badJwks, signatures,
};

// ---------------------------------------------------------------- output

const fence = (info, body) => `\`\`\`${info}\n${body}\n\`\`\``;
const shown = entries[3];
const example = `
The public key of the ledger, in base64url (\`x\` of its JWK):

${fence('text x', ledgerKey.jwk.x)}

Its \`kid\`, SHA-256 of \`{"crv":"Ed25519","kty":"OKP","x":"…"}\`:

${fence('text kid', ledgerKey.kid)}

The leaf at position 3, on one line and without a line end (${utf8(shown.leaf).length} bytes):

${fence('json leaf', shown.leaf)}

Its link:

${fence('text link', shown.link)}

The text that is signed, each of its four lines ended by a line feed:

${fence('text signed', shown.text.trimEnd())}

The signature:

${fence('text signature', shown.signature)}

The disclosure of the one concealed value, \`["<salt>","subject","<reference>"]\`:

${fence('text disclosure', subjectDisclosure)}

and its digest, which stands in the leaf's \`_sd\`:

${fence('text digest', digestOf(subjectDisclosure))}
`;
const list = (items) => `[\n${items.map((i) => `  ${JSON.stringify(i)}`).join(',\n')}\n ]`;
const pretty = (o) => `{\n${Object.entries(o).map(([k, v]) => ` ${JSON.stringify(k)}: ${Array.isArray(v) ? list(v) : JSON.stringify(v)}`).join(',\n')}\n}\n`;
const outputs = new Map([['seal.json', sealVectors], ['filing.json', filingVectors], ['keys.json', keyVectors]].map(([n, v]) => [new URL(n, import.meta.url), pretty(v)]));
const format = new URL('../../docs/format.md', import.meta.url);
if (existsSync(format)) {
  outputs.set(format, readFileSync(format, 'utf8').replace(/(<!-- worked example: begin -->\n)[\s\S]*(\n<!-- worked example: end -->)/, (_, a, b) => a + example + b));
}
let differs = false;
for (const [url, content] of outputs) {
  JSON.stringify(content);
  if (process.argv.includes('--check')) {
    const now = existsSync(url) ? readFileSync(url, 'utf8') : '';
    if (now !== content) { differs = true; console.error(`differs: ${url.pathname.split('/').slice(-2).join('/')}`); }
  } else writeFileSync(url, content);
}
console.log(`${entries.length} entries, ${badEntries.length} bad; ${good.length} filings, ${refused.length} bad; ${signatures.length} signatures`);
process.exit(differs ? 1 : 0);
