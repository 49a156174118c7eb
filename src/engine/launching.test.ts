import { describe, expect, it } from 'vitest';
import { driverFor } from './launching.ts';

describe('the driver of a grant', () => {
  it('is none where the host has no driver of that isolation', () => {
    expect(() => driverFor({ drivers: new Map() }, { isolation: 'microvm' })).toThrowError(
      expect.objectContaining({ code: 'ENGINE_NO_DRIVER', exit: 6 }),
    );
  });
});
