// What is known of programs by their names: which of them fetch, run what they are given, or switch verification off.
import type { ShellCommand } from './shell-commands.ts';

/** Programs that write to their output what an address answers. */
const FETCHERS: ReadonlySet<string> = new Set(
  'curl wget wget2 fetch aria2c axel lynx http https xh ftp iwr irm invoke-webrequest invoke-restmethod'.split(' '),
);

/** Programs that run their input or their arguments as commands. */
const SHELLS: ReadonlySet<string> = new Set(
  'sh bash dash ash zsh ksh mksh fish csh tcsh rbash pwsh powershell iex invoke-expression eval source .'.split(' '),
);

/** Programs that run their input when no file is named. */
const INTERPRETERS = /^(python[\d.]*|pypy[\d.]*|perl[\d.]*|ruby[\d.]*|node|nodejs|deno|bun|php[\d.]*|lua[\d.]*|tclsh)$/;

/** Programs whose arguments are another command. */
const PREFIXES: ReadonlySet<string> = new Set(
  (
    'sudo doas su env exec command builtin nohup nice ionice stdbuf timeout xargs busybox chroot gosu su-exec ' +
    'setpriv unshare parallel watch tini dumb-init runuser flock script chronic retry eatmydata proxychains'
  ).split(' '),
);

/** Options of interpreters that the text of a program follows. */
const TEXT_OPTION = /^-(-?eval|-?print|[a-zA-Z]*[cenp])$/;

/** An option or setting of a prefix may stand before the command it starts; more of them than this nobody writes. */
const PREFIX_WORDS_MAX = 10;

const ASSIGNMENT = /^[A-Za-z_]\w*=/;

/** The programs that a command starts: its first word and, behind `sudo` and its like, the next that is known. */
export function programsOf({ words }: ShellCommand): string[] {
  const start = words.findIndex((word) => !ASSIGNMENT.test(word));
  if (start === -1) return [];
  const first = programName(words[start] ?? '');
  if (!PREFIXES.has(first)) return [first];
  const rest = words.slice(start + 1, start + 1 + PREFIX_WORDS_MAX).map(programName);
  const next = rest.find((name) => isFetcher(name) || isRunner(name)) ?? rest.find((name) => !/^-|=/.test(name));
  return next === undefined ? [first] : [first, next];
}

/** `/usr/bin/CURL.exe -s` → `curl`. */
function programName(word: string): string {
  const path = word.trim().split(/\s/, 1)[0] ?? '';
  return path
    .slice(path.lastIndexOf('/') + 1)
    .toLowerCase()
    .replace(/\.exe$/, '');
}

function isFetcher(name: string): boolean {
  return FETCHERS.has(name);
}

function isRunner(name: string): boolean {
  return SHELLS.has(name) || INTERPRETERS.test(name);
}

/** Whether a command's output can be what an address answers. A program that only a variable names is taken for one. */
export function isFetching(command: ShellCommand): boolean {
  return programsOf(command).some(
    (name) => isFetcher(name) || (name.startsWith('$') && command.words.some((word) => /^\w+:\/\//.test(word))),
  );
}

/** Whether a command runs its arguments as commands: `sh -c`, `eval`. */
export function isShell(command: ShellCommand): boolean {
  return programsOf(command).some((name) => SHELLS.has(name));
}

/** Whether a command runs the files that it is given: any shell, `python tool.py`. */
export function isRunningFile(command: ShellCommand): boolean {
  return programsOf(command).some(isRunner);
}

/** Whether a command runs text or a file that it is given as argument: any shell, `python -c`, `node <(…)`. */
export function isRunningText(command: ShellCommand): boolean {
  if (isShell(command)) return true;
  const isGiven =
    command.words.some((word) => TEXT_OPTION.test(word)) || command.inner.some((it) => it.kind === 'source');
  return isGiven && programsOf(command).some((name) => INTERPRETERS.test(name));
}

/** Whether a command runs what it reads from its input. */
export function isRunningInput(command: ShellCommand): boolean {
  return programsOf(command).some((name) => {
    if (SHELLS.has(name) || name.startsWith('$')) return true;
    if (!INTERPRETERS.test(name)) return false;
    const at = command.words.findIndex((word) => programName(word) === name);
    const rest = command.words.slice(at + 1);
    // `python3 -c …` and `node tool.js` read their input as data.
    return rest.every((word) => word.startsWith('-') && word !== '-m' && !TEXT_OPTION.test(word));
  });
}

/** Programs that compare a file with a checksum or a signature. */
const VERIFIERS =
  /^(sha\d+sum|shasum|b2sum|b3sum|gpg2?|gpgv|sqv|cosign|minisign|signify|openssl|slsa-verifier|rekor-cli)$/;

/** Whether a command can refuse a file that was changed. */
export function isVerifying(command: ShellCommand): boolean {
  return programsOf(command).some((name) => VERIFIERS.test(name));
}

/** Long options that switch off a check in one program or another, each with what is enough of it to be taken for it. */
const OFF_OPTIONS: readonly (readonly [RegExp, string])[] = [
  [/^--allow-unauthenticated$/, '--allow-unauthenticated'],
  [/^--allow-insecure-repositories$/, '--allow-insecure-repositories'],
  [/^--force-yes$/, '--force-yes'],
  [/^--no-check-c[a-z]*$/, '--no-check-certificate'],
  [/^--inse(c(u(re?)?)?)?$/, '--insecure'],
  [/^--proxy-insecure$/, '--proxy-insecure'],
  [/^--insecure-skip-tls-verify(=true)?$/, '--insecure-skip-tls-verify'],
  [/^--trusted-host(=.*)?$/, '--trusted-host'],
  [/^--unsafe-perm(=true)?$/, '--unsafe-perm'],
  [/^--(no-strict-ssl|strict-ssl=false)$/, '--strict-ssl=false'],
  [/^--allow-untrusted$/, '--allow-untrusted'],
  [/^--no-?gpg-?checks?$/, '--nogpgcheck'],
  [/^--no-verify$/, '--no-verify'],
  [/^--skip-verify$/, '--skip-verify'],
  [/^--no(signature|digest)$/, '--nosignature'],
  [/^--disable-content-trust(=true)?$/, '--disable-content-trust'],
  [/^http\.sslverify=(false|0)$/i, 'http.sslVerify=false'],
  [
    /^acquire::(https?::)?(verify-(peer|host)=(false|0)|allow(insecure|weak|downgradetoinsecure)repositories=(true|1))$/i,
    'Acquire',
  ],
  [/^apt::get::allowunauthenticated=(true|1)$/i, 'APT::Get::AllowUnauthenticated'],
];

/** `--no-verify` of these skips hooks of the developer, no signature. */
const OWN_NO_VERIFY: ReadonlySet<string> = new Set(['git', 'cargo', 'terser']);

/** Settings that switch off the check of certificates or checksums. */
const OFF_SETTINGS: ReadonlyMap<string, RegExp> = new Map([
  ['NODE_TLS_REJECT_UNAUTHORIZED', /^0$/],
  ['GIT_SSL_NO_VERIFY', /^(1|true)$/i],
  ['PYTHONHTTPSVERIFY', /^0$/],
  ['NPM_CONFIG_STRICT_SSL', /^false$/i],
  ['NPM_CONFIG_UNSAFE_PERM', /^true$/i],
  ['PIP_TRUSTED_HOST', /./],
  ['GONOSUMDB', /./],
  ['GONOSUMCHECK', /./],
  ['GOINSECURE', /./],
]);

/** Names what in a command switches verification off, or null. */
export function verificationOffIn(command: ShellCommand): string | null {
  const programs = programsOf(command);
  for (const word of command.words) {
    // `-o Name=value` may be written as one word.
    const plain = word.replace(/^-[oc](?=[a-z]+[.:])/i, '');
    const option = OFF_OPTIONS.find(([pattern]) => pattern.test(plain))?.[1];
    if (option === '--no-verify' && programs.some((name) => OWN_NO_VERIFY.has(name))) continue;
    if (option !== undefined) return option;
    const [name = '', value = ''] = word.split('=', 2);
    if (isVerificationSettingOff(name, value)) return `${name}=…`;
  }
  if (programs.includes('curl') && command.words.some((word) => /^-[a-zA-Z#]*k/.test(word) && !hasValueBefore(word)))
    return '-k';
  const text = command.words.join(' ');
  if (/config (set |--global )*strict-ssl[ =]false/.test(text)) return 'strict-ssl false';
  return /config .{0,80}http\.sslverify (false|0)/i.test(text) ? 'http.sslVerify false' : null;
}

/** Whether an environment variable switches the check of certificates or checksums off. */
export function isVerificationSettingOff(name: string, value: string): boolean {
  return OFF_SETTINGS.get(name.toUpperCase())?.test(value) === true;
}

/** In `-ok` the k is the value of o: curl's short options that take one. */
function hasValueBefore(word: string): boolean {
  return /^-[a-zA-Z#]*?[oHXdAbcCeEFKmPQrtTuUwxyYzD]/.test(word.slice(0, word.indexOf('k')));
}

/** Whether a mode lets everybody write: `777`, `a+w`; the sticky bit of a public folder makes it safe. */
export function isWorldWritableMode(mode: string): boolean {
  return /^0?[0-7]{2}[2367]$/.test(mode) || /(^|,)([ugo]{0,3}[ao][ugoa]{0,3})[+=][rxXst]{0,5}w/.test(mode);
}
