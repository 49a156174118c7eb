// A model that somebody else learnt: held to more than its form, as one that contradicts itself could find everything normal.
import { canonicalJson, exitStatus, KIB } from '../base/index.ts';
import { BehaviourError } from './errors.ts';
import { shareNames, volumes } from './features.ts';
import { LEARNING_WINDOWS, type Model, MODEL_VERSION, parseModel, SCORES_MAX } from './model-document.ts';
import { isGrownForest } from './half-space-forest.ts';

/** As large as a model gets, whatever it was taught. */
const MODEL_BYTES_MAX = 96 * KIB;

/**
 * Reads a model that comes from elsewhere and is to judge at once. Beside the form that {@link parseModel} asks for, it must be of the present
 * version, know enough to judge, and be whole: one with windows but without the scores that they are ranked among would rank everything last.
 *
 * @throws BehaviourError BEHAVIOUR_MODEL
 */
export function parseTravellingModel(document: unknown): Model {
  const version: unknown = typeof document === 'object' && document !== null ? Reflect.get(document, 'version') : null;
  if (version !== MODEL_VERSION) throw refused(`it is of another version than ${MODEL_VERSION}`);
  const model = parseModel(document);
  if (canonicalJson(model).length > MODEL_BYTES_MAX) throw refused(`it is larger than ${MODEL_BYTES_MAX} bytes`);
  if (model.windows <= LEARNING_WINDOWS)
    throw refused(`it learnt ${model.windows} windows, and judges from ${LEARNING_WINDOWS + 1} on`);
  const fault = contradictionOf(model);
  if (fault !== null) throw refused(fault);
  return model;
}

/** What learning window by window could not have made. A model of version 1 that was taken over has fewer runs and a younger forest. */
function contradictionOf({ windows, scores, peaks, measures, shares, runs, forest }: Model): string | null {
  const ranked = Math.min(windows - LEARNING_WINDOWS, SCORES_MAX);
  if (scores.length !== ranked) return `it has ${scores.length} scores where ${windows} windows leave ${ranked}`;
  if (peaks.length !== volumes.length) return 'it has not every amount';
  if (peaks.some(([largest, second]) => second > largest)) return 'a second amount is above the largest';
  if (measures.some(([seen, largest, second]) => seen > windows || second > largest))
    return 'a measure does not fit its windows';
  if (shares.length !== 0 && shares.length !== shareNames.length) return 'it has not every share';
  if (runs.windows > windows || (runs.windows === 0) !== (runs.seen === '' && runs.again === ''))
    return 'its runs do not fit its windows';
  return isGrownForest(forest, windows) ? null : 'its forest does not fit its windows';
}

function refused(why: string): BehaviourError {
  return new BehaviourError('BEHAVIOUR_MODEL', `the model of behaviour cannot be used: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Export it again where it was learnt, once it has learnt enough.',
  });
}
