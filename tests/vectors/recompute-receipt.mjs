// Checks the example of docs/receipts.md from that page alone: steps 2 to 12 of its §2, on the day of its recording.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { blake3 } from '@noble/hashes/blake3';

const page = readFileSync(new URL('../../docs/receipts.md', import.meta.url), 'utf8');
const b = Object.fromEntries([...page.matchAll(/^```json (\w+)\n(.*?)\n```$/gms)].map((m) => [m[1], JSON.parse(m[2])]));
const { trust, receipt, answer } = b;
// RFC 8785 for values without fractions: members in UTF-16 order, no white space.
const canonical = (v) =>
  Array.isArray(v) ? `[${v.map(canonical).join(',')}]`
  : v && typeof v === 'object' ? `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`).join(',')}}`
  : JSON.stringify(v);
const { leaf } = receipt;
const { data } = leaf.event;
const link = Buffer.from(blake3(Buffer.from(canonical(leaf)), { context: 'greffe v1 entry link' })).toString('hex');
const text = `greffe v1 entry\n${leaf.origin}\n${leaf.position}\n${link}\n`;
const key = createPublicKey({ key: trust.ledger_key, format: 'jwk' });
const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${trust.ledger_key.x}"}`).digest('base64url');
const checks = {
  origin: leaf.origin === trust.origin && receipt.origin === trust.origin,
  link: receipt.link === link,
  key: receipt.key === kid,
  signature: verify(null, Buffer.from(text), key, Buffer.from(receipt.signature, 'base64url')),
  repeated: receipt.position === leaf.position && receipt.time === leaf.time && receipt.filing === leaf.filing.digest
    && isDeepStrictEqual(receipt.verdict, data.verdict),
  granted: data.kind === 'access.request' && leaf.event.type === 'AccessGranted' && data.verdict.verdict.startsWith('COVERED'),
  day: data.at.earliest <= leaf.time.slice(0, 10) && leaf.time.slice(0, 10) <= data.at.latest,
  term: receipt.valid_until === data.verdict.valid_until && answer.valid_until === receipt.valid_until,
  answer: ['processing', 'purpose', 'categories'].every((name) => isDeepStrictEqual(answer[name], data.body[name]))
    && answer.recipient.party === data.body.recipient.party && answer.recipient.site === data.body.recipient.site.id,
};
console.log(checks);
process.exit(Object.values(checks).every(Boolean) ? 0 : 1);
