// A host without runc: said by doctor, refused by run, by a driver with its own error; nothing is weakened and nothing left.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findCommand, needs } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';

const PROVOST = join(PROJECT_FOLDER, 'bin/provost');
const DRIVERS = join(PROJECT_FOLDER, 'src/sandbox/index.ts');

/** Runs a command where runc is no program any more; only there. */
function withoutRunc(
  home: string,
  ...command: readonly string[]
): { status: number | null; stdout: string; stderr: string } {
  const script = `mount --bind /dev/null ${findCommand('runc')} && exec "$@"`;
  return spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', ...command], {
    env: { ...process.env, PROVOST_HOME: home },
    encoding: 'utf8',
    timeout: 60_000,
  });
}

describe.skipIf(needs('root', 'runc', 'conmon', 'nft'))('without a runtime', () => {
  it('doctor says what is missing, and that what needs it is refused', () => {
    const home = mkdtempSync(join(tmpdir(), 'provost-doctor-'));
    try {
      const { status, stdout } = withoutRunc(home, PROVOST, 'doctor', '--json');
      const report = JSON.parse(stdout) as {
        checks: { name: string; status: string; fix: string | null }[];
        tiers: { tier: string; enforceable: boolean }[];
      };
      expect(status).toBe(6);
      expect(report.checks.find(({ name }) => name === 'driver runc')).toMatchObject({ status: 'missing' });
      expect(report.checks.find(({ name }) => name === 'driver runc')?.fix).toContain('scripts/setup');
      expect(report.tiers.find(({ tier }) => tier === 'high')?.enforceable).toBe(false);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  it('a driver makes no sandbox', () => {
    const script = `
      const { openDrivers } = await import(${JSON.stringify(DRIVERS)});
      const driver = openDrivers({ homeDir: '/nowhere', probeFile: null }).get('runc');
      await driver.create({ id: 'abcdef-1', homeId: 'abcdef' }, {}).catch(({ code, exit }) => console.log(code, exit));`;
    const { stdout } = withoutRunc('/nowhere', process.execPath, '--input-type=module', '-e', script);
    expect(stdout.trim()).toBe('SANDBOX_RUNTIME_MISSING 6');
  });
});
