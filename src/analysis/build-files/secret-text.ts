// Says whether text of a build file seems to be a secret: by the shape of known tokens, or by the name it is given.

/** Tokens whose shape says what they are; the prefixes are those that their issuers document. */
const TOKENS: readonly (readonly [RegExp, string])[] = [
  [/(?<![A-Za-z0-9/+])A(?:KI|SI)A[A-Z2-7]{16}(?![A-Za-z0-9/+])/, 'an access key of AWS'],
  [/(?<![A-Za-z0-9_])gh[pousr]_[A-Za-z0-9]{36}/, 'a token of GitHub'],
  [/(?<![A-Za-z0-9_])github_pat_[A-Za-z0-9_]{50}/, 'a token of GitHub'],
  [/(?<![A-Za-z0-9_])gl(?:pat|dt|rt|cbt|ptt)-[A-Za-z0-9_-]{20}/, 'a token of GitLab'],
  [/(?<![A-Za-z0-9_])xox[abeprs]-[A-Za-z0-9-]{10}/, 'a token of Slack'],
  [/(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}/, 'a token of npm'],
  [/:_authToken=(?!\$)[^\s"']{8}/, 'a token of npm'],
  [/(?<![A-Za-z0-9_])pypi-AgEI[A-Za-z0-9_-]{16}/, 'a token of PyPI'],
  [/(?<![A-Za-z0-9_])dckr_pat_[A-Za-z0-9_-]{20}/, 'a token of Docker'],
  [/(?<![A-Za-z0-9_])AIza[A-Za-z0-9_-]{35}/, 'an API key of Google'],
  [/(?<![A-Za-z0-9_])[sr]k_live_[A-Za-z0-9]{20}/, 'a key of Stripe'],
  [/(?<![A-Za-z0-9_])sk-(?:ant|proj)-[A-Za-z0-9_-]{20}/, 'an API key of a model'],
  [/(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,512}\.eyJ[A-Za-z0-9_-]{10,512}\.[A-Za-z0-9_-]{10}/, 'a signed web token'],
  [/-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY-----/, 'a private key'],
];

/** Amazon's own documentation key: everywhere, and no secret. */
const EXAMPLE_KEY = /EXAMPLE$/;

/** Names the kind of the first token in a text, or null. Never returns the token. */
export function tokenKindIn(text: string): string | null {
  for (const [pattern, kind] of TOKENS) {
    const match = pattern.exec(text);
    if (match !== null && !EXAMPLE_KEY.test(match[0])) return kind;
  }
  return null;
}

/** Whether an address in a text carries a literal password: `https://user:password@host`. */
export function hasPasswordInAddress(text: string): boolean {
  return /:\/\/[^/\s:@'"]{1,128}:[^/\s:@'"$<{*]{1,128}@/.test(text);
}

const SECRET_WORDS: ReadonlySet<string> = new Set(
  'password passwd passphrase passwort secret secrets token tokens apikey credential credentials pwd pat'.split(' '),
);
/** Two words that make a secret together: `API_KEY`. */
const KEY_WORDS = /(^|_)(api|access|private|signing|encryption|secret|master|auth|deploy|account)_keys?($|_)/;
const GLUED = /(password|passwd|passphrase|secret|apikey|authtoken|accesstoken)$/;
/** What a name ends in when it is about a secret without being one. */
const ABOUT =
  /(^|_)(file|path|dir|url|uri|name|id|length|size|ttl|expiry|expires|min|max|type|header|policy|hint|prompt|enabled|manager|store|mount|version|arn|ref)$/;

/** Whether a variable of this name holds a secret: `DB_PASSWORD`, `npmToken`, `api-key`. */
export function isSecretName(name: string): boolean {
  const plain = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  if (ABOUT.test(plain) || /^(max|min|num|total|pwd$)/.test(plain)) return false;
  return plain.split('_').some((word) => SECRET_WORDS.has(word)) || KEY_WORDS.test(plain) || GLUED.test(plain);
}

/** Whether a value is written down: not empty, no variable or expression, no switch. */
export function isLiteralValue(value: string): boolean {
  const plain = value
    .slice(0, 1024)
    .trim()
    .replaceAll(/^["']+|["']+$/g, '');
  return (
    plain !== '' &&
    !/[$`]|^<.*>$|^\*+$|^(true|false|yes|no|null|none|0|1|read|write)$|^file:|^\/run\/secrets\//i.test(plain)
  );
}
