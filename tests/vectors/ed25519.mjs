// Ed25519 in plain integers: slow, short, and no one else's code.
//
// It exists to decide, without the library under test, what strict verification answers on
// hostile keys and signatures, and to build such signatures. Never use it with a real key.

import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';

export const P = 2n ** 255n - 19n;
export const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (a, m = P) => ((a % m) + m) % m;
const power = (b, e, m = P) => {
  let r = 1n;
  for (b = mod(b, m); e > 0n; e >>= 1n, b = mod(b * b, m)) if (e & 1n) r = mod(r * b, m);
  return r;
};
const inverse = (a) => power(a, P - 2n);
const D = mod(-121665n * inverse(121666n));
const SQRT_M1 = power(2n, (P - 1n) / 4n);

export const littleEndian = (bytes) => BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'));
export const toBytes = (n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex').reverse();

export const IDENTITY = [0n, 1n];
export const add = ([x1, y1], [x2, y2]) => {
  const k = mod(D * x1 * x2 % P * y1 % P * y2);
  return [mod((x1 * y2 + x2 * y1) * inverse(1n + k)), mod((y1 * y2 + x1 * x2) * inverse(1n - k))];
};
export const multiply = (n, point) => {
  let r = IDENTITY;
  for (; n > 0n; n >>= 1n, point = add(point, point)) if (n & 1n) r = add(r, point);
  return r;
};
const same = (a, b) => a[0] === b[0] && a[1] === b[1];

/** The point of 32 bytes, or null if there is none. Tolerates y >= p and -0, as many do. */
export function decode(bytes) {
  const n = littleEndian(bytes);
  const y = mod(n & (2n ** 255n - 1n));
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * power(v, 3n) % P * power(u * power(v, 7n), (P - 5n) / 8n));
  if (mod(v * x * x) !== u) x = mod(x * SQRT_M1);
  if (mod(v * x * x) !== u) return null;
  if ((x & 1n) !== n >> 255n) x = mod(-x);
  return [x, y];
}
export const encode = ([x, y]) => toBytes(y | ((x & 1n) << 255n));
export const BASE = decode(Buffer.from('58' + '66'.repeat(31), 'hex'));
export const isSmallOrder = (point) => same(multiply(8n, point), IDENTITY);
export const isPrimeOrder = (point) => same(multiply(L, point), IDENTITY);

const sha512 = (...parts) => createHash('sha512').update(Buffer.concat(parts)).digest();
/** h = SHA-512(R || A || M) mod L, over the bytes as given. */
export const challenge = (R, A, message) => mod(littleEndian(sha512(R, A, message)), L);

/** What RFC 8032 without cofactor answers once small-order keys and R are refused. */
export function verifyStrict(publicKey, message, signature) {
  const [R, S] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))];
  const [A, point] = [decode(publicKey), decode(R)];
  if (!A || !point || S >= L || isSmallOrder(A) || isSmallOrder(point)) return false;
  const h = challenge(R, publicKey, message);
  const expected = add(multiply(S, BASE), multiply(mod(-h, L * 8n), A));
  return encode(expected).equals(R);
}

/** Scalar of a seed, RFC 8032 §5.1.5. */
export function secretScalar(seed) {
  const h = sha512(seed).subarray(0, 32);
  h[0] &= 248;
  h[31] = (h[31] & 127) | 64;
  return littleEndian(h);
}

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');

/** Key of a 32-byte seed: signing by node:crypto, JWK (RFC 8037), thumbprint (RFC 7638). */
export function keyOf(seed) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(secret).export({ format: 'jwk' });
  const jwk = { crv: 'Ed25519', kty: 'OKP', x };
  const kid = base64url(createHash('sha256').update(JSON.stringify(jwk)).digest());
  return { seed, jwk, kid, bytes: Buffer.from(x, 'base64url'), sign: (message) => sign(null, Buffer.from(message), secret) };
}
