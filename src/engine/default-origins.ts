// Where dependencies may come from when nobody says it: the public registries, and the policy of origins out of a file.
import { parseDocument } from 'yaml';

import { exitStatus, KIB, messageOf } from '../base/index.ts';
import { type OriginPolicy, parseOriginPolicy } from '../provenance/index.ts';
import { EngineError } from './errors.ts';

/** A page or ten; a larger text is no policy. */
const ORIGINS_BYTES_MAX = 256 * KIB;

/**
 * The registries that the tools of each ecosystem ask when they are not told otherwise. A Go module is named by where it
 * comes from, not by the proxy that hands it on: beside the proxy these are the hosts of code that are open to everybody,
 * and those of Go itself. Everything else has to be named by the operator.
 */
const PUBLIC_REGISTRIES = [
  // yarn's name for the same registry is what its lockfiles hold.
  { ecosystem: 'npm', urlPrefixes: ['https://registry.npmjs.org/', 'https://registry.yarnpkg.com/'] },
  { ecosystem: 'pypi', urlPrefixes: ['https://pypi.org/', 'https://files.pythonhosted.org/'] },
  {
    ecosystem: 'golang',
    urlPrefixes: [
      'https://proxy.golang.org/',
      'https://golang.org/x/',
      'https://google.golang.org/',
      'https://gopkg.in/',
      'https://github.com/',
      'https://gitlab.com/',
      'https://bitbucket.org/',
    ],
  },
  {
    ecosystem: 'deb',
    urlPrefixes: [
      'https://deb.debian.org/',
      'http://deb.debian.org/',
      'https://security.debian.org/',
      'http://security.debian.org/',
      'https://snapshot.debian.org/',
    ],
  },
  {
    ecosystem: 'apk',
    urlPrefixes: ['https://dl-cdn.alpinelinux.org/alpine/', 'http://dl-cdn.alpinelinux.org/alpine/'],
  },
];

/** The policy of origins without one of the operator's: public registries, no reserved names, no signers. */
export function defaultOrigins(): OriginPolicy {
  return parseOriginPolicy({ registries: PUBLIC_REGISTRIES });
}

/**
 * Reads a policy of origins in YAML, of which JSON is a part.
 *
 * @param source its file, for messages
 * @throws EngineError ENGINE_ORIGINS when it is no YAML; ProvenanceError PROVENANCE_ORIGIN_POLICY when it is no policy
 */
export function readOrigins(text: string, source: string): OriginPolicy {
  if (Buffer.byteLength(text) > ORIGINS_BYTES_MAX) throw badOrigins(source, `has more than ${ORIGINS_BYTES_MAX} bytes`);
  const document = parseDocument(text, { prettyErrors: false, stringKeys: true });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) throw badOrigins(source, `is not YAML: ${fault.message}`);
  return parseOriginPolicy(plainOf(document, source));
}

function plainOf(document: ReturnType<typeof parseDocument>, source: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw badOrigins(source, `has aliases: ${messageOf(error)}`);
  }
}

function badOrigins(source: string, why: string): EngineError {
  return new EngineError('ENGINE_ORIGINS', `the policy of origins ${source} ${why}`, {
    exit: exitStatus.usage,
    hint: 'Write registries, namespaces and signers as lists, in YAML or JSON.',
  });
}
