// An OpenID provider on loopback, run as its users' employer would run it. Its tests say through /control what goes wrong.
import http from 'node:http';
import Provider from 'oidc-provider';
import { SignJWT, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK } from 'jose';

const redirectUris = process.argv.slice(2);
console.warn = () => {};
console.info = () => {};

const server = http.createServer((request, response) => (request.url === '/control' ? control(request, response) : serve(request, response)));
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

let accounts = {};
let tamper = null; // Claims that every ID token is made to say instead; null takes one out.
let down = []; // Paths that are answered with 503.
let wait = null; // A path that is never answered.
let huge = null; // A path that is answered with more than anybody wants to read.
let number = 0;
let key;
let provider;

async function rotate() {
  number += 1;
  const pair = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(pair.privateKey)), kid: `key-${number}`, use: 'sig', alg: 'RS256' };
  key = jwk;
  provider = new Provider(issuer, {
    jwks: { keys: [jwk] },
    clients: [{ client_id: 'agora', client_secret: 'not told to anybody', redirect_uris: redirectUris }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, ...accounts[sub] }) }),
    pkce: { required: () => true },
    cookies: { keys: ['only for tests'] },
    ttl: { Session: 3600, Grant: 3600, Interaction: 600, AccessToken: 600, IdToken: 600 },
  });
  provider.use(async (context, next) => {
    await next();
    if (tamper && context.path === '/token' && context.body?.id_token) {
      const claims = { ...decodeJwt(context.body.id_token), ...tamper };
      for (const name of Object.keys(claims)) if (claims[name] === null) delete claims[name];
      const header = decodeProtectedHeader(context.body.id_token);
      context.body.id_token = await new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(key, 'RS256'));
    }
  });
}

function serve(request, response) {
  const path = request.url.split('?')[0];
  if (down.includes(path) || down.includes('*')) {
    response.writeHead(503, { 'content-type': 'application/json' }).end('{}');
  } else if (huge === path) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [], filler: 'x'.repeat(4_000_000) }));
  } else if (wait !== path) {
    provider.callback()(request, response);
  }
}

async function control(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const told = JSON.parse(Buffer.concat(parts).toString());
  if ('accounts' in told) accounts = told.accounts;
  if ('tamper' in told) tamper = told.tamper;
  if ('down' in told) down = told.down;
  if ('wait' in told) wait = told.wait;
  if ('huge' in told) huge = told.huge;
  if (told.rotate) await rotate();
  response.end('{}');
}

await rotate();
process.stdout.write(`${JSON.stringify({ issuer })}\n`);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
