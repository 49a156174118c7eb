// Act 4: all decisions of the demo recomputed from its journal.
import type { Stage } from './stage.ts';

export async function replay({ home, story }: Stage): Promise<void> {
  story.act('replay', '5 · Every decision can be replayed');
  story.say(
    'Each decision named its whole input in the journal. Recomputed from there, without a clock or a detector:',
  );
  const { replayDecisions } = await import('../../engine/index.ts');
  let [count, differing] = [0, 0];
  for await (const { same } of replayDecisions({ homeDir: home.dir, workload: null })) {
    count += 1;
    if (!same) differing += 1;
  }
  story.claim(
    'provost replay gives the same, bit for bit',
    count > 0 && differing === 0,
    `${count} decisions replayed, ${differing} differ`,
  );
}
