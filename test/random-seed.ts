// Random tests print their seed when they fail; PROVOST_TEST_SEED takes it back: `PROVOST_TEST_SEED=-1819918769 npm test -- src/trust`.
import fc from 'fast-check';

const seed = process.env['PROVOST_TEST_SEED'];
if (seed !== undefined && seed !== '') fc.configureGlobal({ seed: Number(seed) });
