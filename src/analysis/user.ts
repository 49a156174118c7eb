// base.user: whom the image asks to run as.
import type { Judgement } from './hygiene.ts';

/**
 * Root of a user namespace is nobody on the host, but it owns every file of its root and starts with what bugs in the kernel's
 * namespaces need: most stock images run so, and lose a good part here, not all.
 */
const ROOT_SCORE = 0.3;

/** A name is looked up in the image's own passwd, which may give it any id. */
const NAMED_SCORE = 0.9;

/** Judges `User` of an image's configuration: `1000`, `www-data`, `1000:1000`, empty for root. */
export function judgeUser(user: string): Judgement {
  const name = user.split(':', 1)[0] ?? '';
  if (name === '') return { score: ROOT_SCORE, reason: 'it names no user, so it runs as root' };
  // attacker-controlled: any spelling of the number 0 is root.
  if (name === 'root' || /^\+?0+$/.test(name)) return { score: ROOT_SCORE, reason: 'it asks to run as root' };
  if (/^[0-9]{1,9}$/.test(name)) return { score: 1, reason: `it runs as user ${name}` };
  return { score: NAMED_SCORE, reason: `it runs as user '${name.slice(0, 32)}', whose id the image decides` };
}
