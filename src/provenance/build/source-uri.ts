// Where a work tree came from, as a URI that anyone may read: without user, password and query.
import { pathToFileURL } from 'node:url';

/** `user@host:path`, as ssh and git have it. */
const SCP_FORM = /^(?:[^@/\s]+@)?([A-Za-z0-9.-]+):(?!\/\/)(\S+)$/;

/**
 * Makes the URI of a commit's repository: of its remote where it has one that can be written so, else of the folder.
 *
 * @param remote as git's configuration has it; attacker-controlled
 */
export function sourceUri(remote: string | null, dir: string): string {
  const folder = `git+${pathToFileURL(dir).href}`;
  if (remote === null || remote.length > 1024) return folder;
  const [, host, path] = SCP_FORM.exec(remote) ?? [];
  const text = host === undefined ? remote : `ssh://${host}/${path?.replace(/^\/+/, '')}`;
  if (!URL.canParse(text)) return folder;
  const url = new URL(text);
  if (!['http:', 'https:', 'ssh:', 'git:', 'file:'].includes(url.protocol)) return folder;
  [url.username, url.password, url.search, url.hash] = ['', '', '', ''];
  return `git+${url.href}`;
}
