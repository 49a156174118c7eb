// A streaming forest over rates and ratios: sees mixtures that never occurred, though each part alone did.
import { type Features, shareNames, volumes } from './features.ts';

/** @source Tan, Ting and Liu, "Fast anomaly detection for streaming data" (IJCAI 2011): half-space trees, smaller than theirs */
const TREES = 16;
const DEPTH = 5;
const LEAVES = 2 ** DEPTH;
/** Windows after which the counts of the period before are forgotten. */
const PERIOD_WINDOWS = 256;
/** A tree finds a mixture strange when it puts fewer than this share of the windows with it. */
const STRANGE_SHARE = 0.01;
/** Up to this share of the trees may find a usual mixture strange. */
const STRANGE_TREES_SLACK = 0.25;
const SEED = 0x5eed_0042;

/** Windows by leaf, tree after tree, in the period before and in this one. */
export interface Forest {
  readonly before: readonly number[];
  readonly now: readonly number[];
}

/** How unusual a mixture is, and by which features it was told from what was normal. */
export interface Mixture {
  /** 0 (usual) to 1. */
  readonly size: number;
  readonly features: readonly string[];
}

/** The forest that has seen nothing. */
export const emptyForest: Forest = { before: [], now: [] };

interface Split {
  readonly feature: number;
  readonly at: number;
}

const featureNames = [...volumes.map(({ name }) => name), ...shareNames];
const trees: readonly (readonly Split[])[] = plantTrees();

/** Counts a normal window. */
export function growForest(forest: Forest, features: Features): Forest {
  const point = pointOf(features);
  const now = forest.now.length === 0 ? Array.from({ length: TREES * LEAVES }, () => 0) : [...forest.now];
  trees.forEach((tree, index) => {
    const leaf = index * LEAVES + leafOf(tree, point);
    now[leaf] = (now[leaf] ?? 0) + 1;
  });
  return windowsIn(now) >= PERIOD_WINDOWS ? { before: now, now: [] } : { before: forest.before, now };
}

/** Compares a window with those that were counted. */
export function mixtureOf(forest: Forest, features: Features): Mixture {
  const point = pointOf(features);
  const all = windowsIn(forest.before) + windowsIn(forest.now);
  if (all === 0) return { size: 0, features: [] };
  let strange = 0;
  const votes = featureNames.map(() => 0);
  trees.forEach((tree, index) => {
    const mass = (leaf: number): number =>
      (forest.before[index * LEAVES + leaf] ?? 0) + (forest.now[index * LEAVES + leaf] ?? 0);
    const here = mass(leafOf(tree, point));
    if (here >= STRANGE_SHARE * all) return;
    strange += 1;
    const feature = partingOf(tree, point, { mass, least: STRANGE_SHARE * all });
    votes[feature] = (votes[feature] ?? 0) + 1;
  });
  const beyond = strange / TREES - STRANGE_TREES_SLACK;
  const size = beyond > 0 ? beyond / (1 - STRANGE_TREES_SLACK) : 0;
  const ranked = votes.map((count, feature) => ({ count, feature })).filter(({ count }) => count > 0);
  ranked.sort((a, b) => b.count - a.count || a.feature - b.feature);
  return { size, features: ranked.slice(0, 3).map(({ feature }) => featureNames[feature] ?? '') };
}

/** Windows that a forest counts, and in how many leaves of its first tree they fall. */
export function describeForest({ before, now }: Forest): { readonly windows: number; readonly mixtures: number } {
  let mixtures = 0;
  for (let leaf = 0; leaf < LEAVES; leaf += 1) if ((before[leaf] ?? 0) + (now[leaf] ?? 0) > 0) mixtures += 1;
  return { windows: windowsIn(before) + windowsIn(now), mixtures };
}

/** Whether so many windows or fewer can have grown it: every tree counts each once, in periods that are full or are this one. */
export function isGrownForest({ before, now }: Forest, windows: number): boolean {
  const [past, present] = [windowsIn(before), windowsIn(now)];
  if (past + present > windows || present >= PERIOD_WINDOWS || (past !== 0 && past !== PERIOD_WINDOWS)) return false;
  return [before, now].every((counts) =>
    trees.every((_, tree) => windowsIn(counts.slice(tree * LEAVES, (tree + 1) * LEAVES)) === windowsIn(counts)),
  );
}

/** The length of a forest's lists, when they are not empty. */
export const FOREST_LENGTH = TREES * LEAVES;

/** Every tree counts every window once, so the first says how many there were. */
function windowsIn(counts: readonly number[]): number {
  let sum = 0;
  for (let leaf = 0; leaf < LEAVES; leaf += 1) sum += counts[leaf] ?? 0;
  return sum;
}

/** Amounts become 0..1 with the noise of any program at one third; a window of too few calls has no shares. */
function pointOf({ volumes: amounts, shares }: Features): readonly number[] {
  const scaled = volumes.map(({ floor }, index) => {
    const amount = amounts[index] ?? 0;
    return amount / (amount + 2 * floor);
  });
  return [...scaled, ...shareNames.map((_, index) => shares?.[index] ?? 0)];
}

/** Splits are in the order of a heap: the children of split n are 2n + 1 and 2n + 2. */
function leafOf(tree: readonly Split[], point: readonly number[]): number {
  let node = 0;
  for (let level = 0; level < DEPTH; level += 1) node = childOf(tree, node, point);
  return node - (LEAVES - 1);
}

function childOf(tree: readonly Split[], node: number, point: readonly number[]): number {
  const split = tree[node];
  const isUpper = split !== undefined && (point[split.feature] ?? 0) >= split.at;
  return 2 * node + (isUpper ? 2 : 1);
}

interface Masses {
  readonly mass: (leaf: number) => number;
  readonly least: number;
}

/** The feature of the split beyond which hardly any normal window went. */
function partingOf(tree: readonly Split[], point: readonly number[], { mass, least }: Masses): number {
  let node = 0;
  for (let level = 1; level <= DEPTH; level += 1) {
    const feature = tree[node]?.feature ?? 0;
    node = childOf(tree, node, point);
    const width = 2 ** (DEPTH - level);
    const from = (node - (2 ** level - 1)) * width;
    let below = 0;
    for (let leaf = from; leaf < from + width; leaf += 1) below += mass(leaf);
    if (below < least || level === DEPTH) return feature;
  }
  return 0;
}

/** The same trees everywhere, from a fixed seed: each has its own range of each feature, halved on the way down. */
function plantTrees(): Split[][] {
  let state = SEED;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: TREES }, () => {
    const ranges = featureNames.map((): readonly [number, number] => {
      const middle = random();
      const reach = 2 * (middle > 0.5 ? middle : 1 - middle);
      return [middle - reach, middle + reach];
    });
    const splits: Split[] = [];
    plantNode(splits, 0, { ranges, random });
    return splits;
  });
}

interface Ground {
  readonly ranges: readonly (readonly [number, number])[];
  readonly random: () => number;
}

function plantNode(splits: Split[], node: number, { ranges, random }: Ground): void {
  if (node >= LEAVES - 1) return;
  const feature = Math.floor(random() * ranges.length);
  const [low, high] = ranges[feature] ?? [0, 1];
  const at = (low + high) / 2;
  splits[node] = { feature, at };
  plantNode(splits, 2 * node + 1, { ranges: ranges.with(feature, [low, at]), random });
  plantNode(splits, 2 * node + 2, { ranges: ranges.with(feature, [at, high]), random });
}
