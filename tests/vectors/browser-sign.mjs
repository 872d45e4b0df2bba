// Runs the signing module that the pages serve, as a browser would, on a request read from
// standard input: `{module, pem, draft, concealed, aud, iat, jti?, salts?}`. Prints the SD-JWT.
// `salts`: those to use, in order, instead of fresh ones.

import { readFileSync } from "node:fs";

const request = JSON.parse(readFileSync(0, "utf8"));
// By its text: whether a `.js` file is a module is the page's to say, not its directory's.
const text = readFileSync(request.module);
const { readKey, sign, isSupported } = await import(`data:text/javascript;base64,${text.toString("base64")}`);

if (!(await isSupported())) throw new Error("no Ed25519 here");
const signer = await readKey(request.pem);
if (signer.key.extractable) throw new Error("the key can be read back");
const { draft, concealed, aud, iat, jti, salts } = request;
const given = { draft, concealed, aud, iat, signer };
if (jti) given.jti = jti;
if (salts) given.salt = () => salts.shift();
process.stdout.write(await sign(given));
