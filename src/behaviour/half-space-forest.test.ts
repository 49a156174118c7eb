import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/seeded-random.ts';
import { featuresOf, shareNames, volumes } from './features.ts';
import { emptyForest, type Forest, FOREST_LENGTH, growForest, mixtureOf } from './half-space-forest.ts';

type Features = ReturnType<typeof featuresOf>;

/** Two kinds of work: much CPU and no network, or much network and little CPU. */
function workOf(random: () => number): Features {
  const isBusy = random() < 0.5;
  const amounts = volumes.map(({ floor }, index) => {
    const isNetwork = index >= 5 && index <= 8;
    return floor * (isNetwork === isBusy ? 0.05 : 8) * (0.9 + 0.2 * random());
  });
  return { volumes: amounts, shares: shareNames.map((_, index) => ((index === 1) === isBusy ? 0.02 : 0.5)) };
}

const random = seededRandom(4);

function grown(windows: number): Forest {
  let forest = emptyForest;
  for (let at = 0; at < windows; at += 1) forest = growForest(forest, workOf(random));
  return forest;
}

/** As much of everything as either kind of work has of its own. */
const mixed: Features = {
  volumes: volumes.map(({ floor }, index) => (index % 2 === 0 ? 8 : 0.05) * floor),
  shares: shareNames.map(() => 0.25),
};

describe('the forest', () => {
  it('finds a mixture unusual of which each part alone is known, and says by what', () => {
    const forest = grown(200);
    const { size, features } = mixtureOf(forest, mixed);
    expect(size).toBeGreaterThan(0);
    expect(features.length).toBeGreaterThan(0);
    expect(features.length).toBeLessThanOrEqual(3);
  });

  it('finds the work that it knows usual', () => {
    const forest = grown(200);
    for (let at = 0; at < 50; at += 1) expect(mixtureOf(forest, workOf(random)).size).toBe(0);
  });

  it('forgets what has not been seen for two periods, and stays within its bounds', () => {
    let forest: Forest = growForest(grown(255), mixed);
    expect(forest.now).toEqual([]);
    expect(mixtureOf(forest, mixed).size).toBeLessThan(1);
    for (let at = 0; at < 256; at += 1) forest = growForest(forest, workOf(random));
    expect(mixtureOf(forest, mixed).size).toBeGreaterThan(0);
    expect([...forest.before, ...forest.now].length).toBeLessThanOrEqual(2 * FOREST_LENGTH);
  });

  it('says nothing before it has seen anything', () => {
    expect(mixtureOf(emptyForest, mixed)).toEqual({ size: 0, features: [] });
  });
});
