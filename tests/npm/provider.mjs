// A certified OpenID Connect provider (panva's oidc-provider) for tests, on a port of 127.0.0.1.
// Usage: node provider.mjs '{"client_id", "client_secret"?, "redirect_uri", "back", "accounts": {NAME: CLAIMS},
//   "idTokenClaims": true|false, "alg": "RS256"|"PS256"|"ES256"|"EdDSA", "host": its name}'
// Prints its issuer as one line of JSON once it listens. Any password signs an account in.
import { createServer } from 'node:http';
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

import { Provider } from 'oidc-provider';

const asked = JSON.parse(process.argv[2]);
const algorithm = asked.alg ?? 'RS256';
const KEYS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

const { privateKey } = await promisify(generateKeyPair)(...KEYS[algorithm]);
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: algorithm, kid: 'one' };

const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://${asked.host ?? '127.0.0.1'}:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: asked.client_id,
      client_secret: asked.client_secret,
      token_endpoint_auth_method: asked.client_secret ? 'client_secret_basic' : 'none',
      redirect_uris: [asked.redirect_uri],
      post_logout_redirect_uris: [asked.back],
      id_token_signed_response_alg: algorithm,
      application_type: 'native', // http on loopback
    },
  ],
  jwks: { keys: [key] },
  cookies: { keys: ['tests'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['preferred_username'],
    groups: ['groups'],
  },
  conformIdTokenClaims: !asked.idTokenClaims, // true: they are at the userinfo endpoint only
  enabledJWA: { idTokenSigningAlgValues: [algorithm] },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...asked.accounts[id] }),
  }),
});

server.on('request', provider.callback());
console.log(JSON.stringify({ issuer }));
