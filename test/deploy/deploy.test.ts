/** The systemd unit and the Kubernetes manifest: what they name is there: files, ports, commands, keys. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../../agent/config.ts';
import type { Config } from '../../schemas/config.ts';
import { runCli } from '../support/agent-process.ts';
import { repositoryText } from '../support/config.ts';
import { testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';

/** The program and options of a command line are those that the CLI has. */
async function expectCommand(words: readonly string[]): Promise<void> {
  const path = words.slice(
    0,
    words.findIndex((word) => /^[-/]/.test(word)),
  );
  const { code, stdout } = await runCli([...path, '--help']);
  expect(code, words.join(' ')).toBe(0);
  for (const option of words.filter((word) => word.startsWith('--')))
    expect(stdout).toContain(option);
}

describe('systemd', () => {
  const unit = repositoryText('deploy/systemd/sealtrail.service');
  const valueOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';

  test('runs commands that there are, on files and folders that fit one another', async () => {
    for (const name of ['ExecStart', 'ExecStartPre']) {
      const [program, ...words] = valueOf(name).split(' ');
      expect(program).toBe('/usr/bin/sealtrail');
      await expectCommand(words);
      expect(words).toContain('/etc/sealtrail/sealtrail.yaml');
    }
    expect(valueOf('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
    const config = await loadUnitConfig();
    expect(config.data_dir).toBe(`/var/lib/${valueOf('StateDirectory')}`);
    expect(valueOf('Environment')).toContain(`SEALTRAIL_DATA_DIR=${config.data_dir}`);
    expect(dirname(config.receivers.socket?.path ?? '')).toBe(
      `/run/${valueOf('RuntimeDirectory')}`,
    );
    expect(Number(valueOf('TimeoutStopSec')) * 1000).toBeGreaterThan(
      config.service.shutdown_timeout_ms,
    );
  });

  test('gives the agent no more than it needs, and does not promise what it does not do', () => {
    for (const line of [
      'DynamicUser=yes',
      'ProtectSystem=strict',
      'NoNewPrivileges=yes',
      'CapabilityBoundingSet=',
      'PrivateTmp=yes',
      'ProtectHome=yes',
    ])
      expect(unit.split('\n')).toContain(line);
    expect(valueOf('Type'), 'the agent sends no READY=1').toBe('exec');
    expect(unit, 'a JIT needs it').not.toMatch(/^MemoryDenyWriteExecute=/m);
  });

  test('starts the verifier every night over the same folder, as the same user, and lets a failure stand', async () => {
    const verifier = repositoryText('deploy/systemd/sealtrail-verify.service');
    const [, ...words] = /^ExecStart=(.*)$/m.exec(verifier)?.[1]?.split(' ') ?? [];
    await expectCommand(words);
    expect(words).toContain(`/var/lib/${valueOf('StateDirectory')}`);
    for (const name of ['DynamicUser', 'StateDirectory', 'StateDirectoryMode'])
      expect(verifier.split('\n')).toContain(`${name}=${valueOf(name)}`);
    // The name that systemd gives the user of sealtrail.service.
    expect(verifier.split('\n')).toContain('User=sealtrail');
    expect(verifier).not.toMatch(/^(SuccessExitStatus|Restart)=/m);
    expect(repositoryText('deploy/systemd/sealtrail-verify.timer')).toMatch(/^OnCalendar=daily$/m);
  });

  const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
  testWhere(hasSystemd, 'systemd-analyze is not here').each(['sealtrail', 'sealtrail-verify'])(
    'systemd takes the unit %s, and calls it well protected',
    async (name) => {
      await using dir = await makeTempDir();
      const path = join(dir.path, `${name}.service`);
      const text = repositoryText(`deploy/systemd/${name}.service`);
      // The program is not installed on the machine of a test.
      writeFileSync(path, text.replaceAll('/usr/bin/sealtrail', process.execPath));
      const verified = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
      expect(verified.stderr).not.toContain(`${name}.service`);
      const judged = spawnSync(
        'systemd-analyze',
        ['security', '--offline=true', '--no-pager', path],
        { encoding: 'utf8' },
      );
      const exposure = Number(
        /exposure level for sealtrail(?:-verify)?\.service: ([0-9.]+)/.exec(judged.stdout)?.[1],
      );
      expect(exposure).toBeLessThan(3);
    },
  );
});

async function loadUnitConfig(): Promise<Config> {
  await using dir = await makeTempDir();
  for (const name of ['deploy/systemd/sealtrail.yaml', 'config/vocabulary.json'])
    copyFileSync(name, join(dir.path, name.split('/').at(-1) ?? ''));
  const loaded = await loadConfig(join(dir.path, 'sealtrail.yaml'), {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  return loaded.value;
}

interface Probe {
  readonly exec: { readonly command: readonly string[] };
}
interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly args?: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}
interface Manifest {
  readonly kind: string;
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: Readonly<Record<string, unknown>>;
        readonly initContainers: readonly Container[];
        readonly containers: readonly Container[];
        readonly volumes: readonly {
          readonly name: string;
          readonly emptyDir?: object;
          readonly configMap?: { readonly name: string };
        }[];
      };
    };
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
  };
}

describe('Kubernetes', () => {
  const manifests = parseAllDocuments(repositoryText('deploy/kubernetes/sidecar.yaml')).map(
    (document) => document.toJS() as Manifest,
  );
  const map = manifests.find(({ kind }) => kind === 'ConfigMap')!;
  const { template, volumeClaimTemplates } = manifests.find(
    ({ kind }) => kind === 'StatefulSet',
  )!.spec;
  const pod = template.spec;
  const [agent] = pod.initContainers;
  const mountOf = (container: Container, volume: string): string | undefined =>
    container.volumeMounts.find(({ name }) => name === volume)?.mountPath;

  async function loadSidecarConfig(): Promise<Config> {
    await using dir = await makeTempDir();
    const secrets = join(dir.path, 'secrets');
    mkdirSync(secrets);
    writeFileSync(
      join(secrets, 'writer-url'),
      'postgresql://sealtrail_writer@db.example/sealtrail',
    );
    const text = (map.data['sealtrail.yaml'] ?? '')
      .replaceAll('/run/secrets/sealtrail', secrets)
      .replace('/opt/sealtrail/config', join(import.meta.dirname, '../../config'));
    const path = join(dir.path, 'sealtrail.yaml');
    writeFileSync(path, text);
    const loaded = await loadConfig(path, { POD_NAME: 'payments-0' });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
    return loaded.value;
  }

  test('the agent starts before the application and ends after it, with a command and a configuration that there are', async () => {
    expect(agent?.restartPolicy, 'a sidecar').toBe('Always');
    const args = agent?.args ?? [];
    await expectCommand(args);
    expect(args.at(-1)).toBe(`${mountOf(agent!, 'audit-config') ?? ''}/sealtrail.yaml`);
    const config = await loadSidecarConfig();
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
      config.service.shutdown_timeout_ms,
    );
    expect(
      pod.volumes.find(({ configMap }) => configMap?.name === 'payments-sealtrail')?.name,
    ).toBe('audit-config');
  });

  test('socket and data lie where they are mounted: the socket shared, the data on a claim of the agent alone', async () => {
    const config = await loadSidecarConfig();
    const [application] = pod.containers;
    const folder = dirname(config.receivers.socket?.path ?? '');
    for (const container of [agent!, application!])
      expect(mountOf(container, 'audit-socket')).toBe(folder);
    expect(pod.volumes.find(({ name }) => name === 'audit-socket')?.emptyDir).toBeDefined();
    expect(application?.env.find(({ name }) => name === 'SEALTRAIL_SOCKET')?.value).toBe(
      config.receivers.socket?.path,
    );
    expect(mountOf(agent!, 'audit-data')).toBe(config.data_dir);
    expect(mountOf(application!, 'audit-data')).toBeUndefined();
    expect(volumeClaimTemplates.map(({ metadata }) => metadata.name)).toEqual(['audit-data']);
    const mounted = [...pod.volumes.map(({ name }) => name), 'audit-data'];
    for (const { volumeMounts } of [agent!, application!])
      for (const { name } of volumeMounts) expect(mounted).toContain(name);
  });

  test('probes ask the admin port from within, liveness for /healthz, readiness for /readyz', async () => {
    const { admin_endpoint: endpoint } = (await loadSidecarConfig()).service.telemetry;
    const asks = (probe: 'startupProbe' | 'livenessProbe' | 'readinessProbe'): string =>
      agent?.[probe]?.exec.command.join(' ') ?? '';
    expect(asks('startupProbe')).toContain(`http://${endpoint}/healthz`);
    expect(asks('livenessProbe')).toContain(`http://${endpoint}/healthz`);
    expect(asks('readinessProbe')).toContain(`http://${endpoint}/readyz`);
    // The very command: with nobody on the port it says no.
    const [program = '', ...args] = agent?.livenessProbe?.exec.command ?? [];
    expect(program).toBe('node');
    expect(
      spawnSync(
        process.execPath,
        args.map((arg) => arg.replace(':9464', ':9')),
      ).status,
    ).toBe(1);
  });

  test('no root, no rights, no writable root file system', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(agent?.securityContext).toMatchObject({
      runAsUser: 10001,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(repositoryText('Dockerfile'), 'the user of the image').toContain('USER 10001:10001');
    expect(existsSync('Dockerfile')).toBe(true);
  });
});
