// Recomputes the worked example of docs/format.md §2.1 from that page alone.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { blake3 } from '@noble/hashes/blake3';

const page = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8');
const b = Object.fromEntries([...page.matchAll(/^```\w+ (\w+)\n(.*?)\n```$/gms)].map((m) => [m[1], m[2]]));
const sha256 = (text) => createHash('sha256').update(text).digest('base64url');
const { origin, position, event } = JSON.parse(b.leaf);
const link = Buffer.from(blake3(Buffer.from(b.leaf), { context: 'greffe v1 entry link' })).toString('hex');
const key = createPublicKey({ key: { crv: 'Ed25519', kty: 'OKP', x: b.x }, format: 'jwk' });
const checks = {
  kid: b.kid === sha256(`{"crv":"Ed25519","kty":"OKP","x":"${b.x}"}`),
  link: b.link === link,
  signed: `${b.signed}\n` === `greffe v1 entry\n${origin}\n${position}\n${link}\n`,
  signature: verify(null, Buffer.from(`${b.signed}\n`), key, Buffer.from(b.signature, 'base64url')),
  digest: b.digest === sha256(b.disclosure) && event.data.body._sd.includes(b.digest),
};
console.log(checks);
process.exit(Object.values(checks).every(Boolean) ? 0 : 1);
