// Looks for tokens and passwords line by line, in comments too: a secret is as public there.
import { type Note, shown } from './finding.ts';
import { hasPasswordInAddress, isLiteralValue, isSecretName, tokenKindIn } from './secret-text.ts';

/** Notes tokens and addresses with a password; what they say is never shown. */
export function noteTokens(text: string, note: Note): void {
  for (const [index, line] of text.split('\n').entries()) {
    const kind = tokenKindIn(line);
    if (kind !== null) note('file.secret', index + 1, `it seems to hold ${kind}`);
    if (hasPasswordInAddress(line)) note('file.secret-setting', index + 1, 'an address holds a password');
  }
}

/** Notes a setting whose name promises a secret and whose value is written down. */
export function noteSetting(name: string, value: string, line: number, note: Note): void {
  const kind = tokenKindIn(value);
  if (kind !== null) note('file.secret', line, `${shown(name)} seems to hold ${kind}`);
  else if (isSecretName(name) && isLiteralValue(value))
    note('file.secret-setting', line, `${shown(name)} has a literal value`);
}
