// The environment of a build as its provenance tells it: the values that shape what is built, and of all else only the names.

/** Variables whose values are no secrets and change what a build makes. */
const TOLD: ReadonlySet<string> = new Set([
  'CFLAGS',
  'CGO_ENABLED',
  'CI',
  'CXXFLAGS',
  'GOARCH',
  'GOFLAGS',
  'GOOS',
  'LANG',
  'LC_ALL',
  'LDFLAGS',
  'NODE_ENV',
  'PATH',
  'PYTHONHASHSEED',
  'RUSTFLAGS',
  'SOURCE_DATE_EPOCH',
  'TZ',
]);

const NAMES_MAX = 1024;
const NAME_CHARS_MAX = 256;
const VALUE_CHARS_MAX = 16 * 1024;

/** What a build was run with. */
export interface BuildEnvironment {
  /** Names and values of the few that are told. */
  readonly variables: Readonly<Record<string, string>>;
  /** Names of the others, in order. */
  readonly otherNames: readonly string[];
  /** Version by tool, of those that the command names. */
  readonly tools: Readonly<Record<string, string>>;
  /** Such as `linux/x64`. */
  readonly platform: string;
}

/** Splits an environment into what is told with its value, and names. A value that is too long is told by its name alone. */
export function tellEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Pick<BuildEnvironment, 'variables' | 'otherNames'> {
  const names = Object.keys(environment)
    .filter((name) => environment[name] !== undefined && name.length <= NAME_CHARS_MAX)
    .sort();
  const isTold = (name: string): boolean => TOLD.has(name) && (environment[name] ?? '').length <= VALUE_CHARS_MAX;
  return {
    variables: Object.fromEntries(names.filter(isTold).map((name) => [name, environment[name] ?? ''])),
    otherNames: names.filter((name) => !isTold(name)).slice(0, NAMES_MAX),
  };
}

/** The told variables of a build that a rebuild sets again: all but where this host keeps its programs. */
export function variablesToRepeat({ variables }: Pick<BuildEnvironment, 'variables'>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => TOLD.has(name) && name !== 'PATH'));
}

/** Tools whose version shapes what they make. */
const TOOLS = 'bun cargo cc clang cmake deno gcc go make node npm pnpm python3 rustc yarn'.split(' ');

/** The known tools that a command names, with how to ask each for its version. */
export function toolsIn(command: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const words = new Set(command.flatMap((argument) => argument.slice(0, 64 * 1024).split(/[\s;&|()]+/)));
  return new Map(
    TOOLS.filter((name) => words.has(name)).map((name) => [name, [name === 'go' ? 'version' : '--version']]),
  );
}
