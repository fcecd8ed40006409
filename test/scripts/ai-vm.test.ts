import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Size } from 'cdk8s';
import { parse } from 'yaml';
import homelab from '../fixtures/homelab';
import type { GpuPassthrough } from '../../inventory';
import { NotReady, Blocked, TimedOut } from '../../scripts/engine/problem';
import { authorizedKeys, cloudInit, firewall, renderAiVms, ttmOptions } from '../../machines/ai-vm';
import { requireLoginKeys } from '../../scripts/stages/login-keys';
import { loadModelsUnit, ollamaOverride } from '../../machines/ollama';
import { parseLog } from '../../scripts/clients/ollama-log';
import { ollama as ollamaOf } from '../../scripts/clients/ollama';
import { wantedDevices } from '../../scripts/stages/ai-vm/gpu';
import { gpuProblems, speedOnCpuMeasured, noLogin, gpuProved, unusable } from '../../scripts/stages/ai-vm/gpu-proof';
import {
  ofModel,
  ofOptions,
  optionsText,
  readRecord,
  remaining,
  stateOf,
  type GpuRecord,
} from '../../scripts/stages/ai-vm/gpu-record';
import { planRestart, planStart, type Restart } from '../../scripts/stages/ai-vm/restart';
import { shownLines } from '../../scripts/engine/step';
import { aiVm, apply, podsOf, run, Told, withAiVm } from './ubuntu';

const restart = async (commands: Told, kind: Restart) =>
  run((await planRestart(commands.context(), aiVm(commands), kind)).actions);
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEf owner@mac';
const BOOT = '11111111-2222-3333-4444-555555555555';
const OTHER_BOOT = '99999999-2222-3333-4444-555555555555';
const KERNEL = '6.17.2-1-pve';
/** The resident model. */
const TAG = 'qwen2.5:14b-instruct-q4_K_M';

/** As ollama-log.sh prints it: LogDetails in discover/types.go of Ollama 0.32.15. */
const inference = (device: string) =>
  `gpu=0000:01:00.0\ntime=2026-11-24T10:00:00.000Z level=INFO source=types.go:32 msg="inference compute" ${device} total="28.0 GiB" available="27.9 GiB"`;
const ON_CPU = inference(
  'id=cpu library=cpu compute="" name=cpu description=cpu libdirs=ollama driver="" pci_id="" type=""',
);
const ON_GPU = inference(
  'id=0 filter_id="" library=Vulkan compute=0.0 name=Vulkan0 description="AMD Radeon Graphics (RADV PHOENIX)" libdirs=ollama,vulkan driver=0.0 pci_id=0000:01:00.0 type=iGPU',
);

const record = (more: Partial<GpuRecord>): GpuRecord => ({
  vmid: 210,
  state: 'proving',
  kernel: KERNEL,
  done: ['cpu'],
  tag: TAG,
  cpu: 4.5,
  date: '2026-01-01',
  ...more,
});

describe('restarts of a machine with a GPU', () => {
  const running = {
    stdout: JSON.stringify({ items: [{ metadata: { namespace: 'cassandra', name: 'cassandra-r1-0' } }] }),
  };
  const none = { stdout: JSON.stringify({ items: [{ metadata: { namespace: 'argocd', name: 'argocd-server-0' } }] }) };
  let boots = 0;

  /** A VM with a GPU, and the record of its test. */
  function told(of?: GpuRecord, config = 'memory: 32768\nhostpci0: 0000:c5:00.0,pcie=1\n') {
    boots = 0;
    let isOn = true;
    const commands: Told = new Told({
      'qm config 210': config,
      'qm status 210': () => `status: ${isOn ? 'running' : 'stopped'}\n`,
      'qm shutdown 210': () => ((isOn = false), ''),
      'qm start 210': () => ((isOn = true), ''),
      'proxmox: systemctl reboot': () => ((isOn = true), boots++, ''),
      'gpu-210.json': of ? JSON.stringify(of) : { code: 1, stderr: 'cat: ...: No such file or directory' },
      'uname -r': `${KERNEL}\n`,
      boot_id: () => `${boots++ > 3 ? OTHER_BOOT : BOOT}\n`,
      'cloud-init status': '{"status":"done","errors":[]}',
    });
    return commands;
  }

  beforeEach(() => podsOf.mockReset().mockResolvedValue(none));

  test('after a passed test, restarts the VM, also with databases', async () => {
    podsOf.mockResolvedValue(running);
    const commands = told(record({ state: 'passed' }));
    await restart(commands, 'stop-start');
    expect(commands.changed).toEqual(['qm shutdown 210 --timeout 180', 'qm start 210 --timeout 300']);
    expect(podsOf).not.toHaveBeenCalled();
  });

  test('after a failed test, stops before any change while a database runs', async () => {
    podsOf.mockResolvedValue(running);
    const commands = told(record({ state: 'failed', failed: { phase: 'reboot', why: 'waited 600 s' } }));
    const restarting = restart(commands, 'reboot');
    await expect(restarting).rejects.toThrow(/no database may run.*cassandra\/cassandra-r1-0/);
    expect(commands.changed).toEqual([]);
  });

  test('without databases, restarts the host too, after asking the owner', async () => {
    const commands = told(record({ state: 'failed', failed: { phase: 'stop-start', why: 'it hung' } }));
    const { asks } = await planRestart(commands.context(), aiVm(commands), 'stop-start');
    expect(asks).toEqual([expect.stringMatching(/^proxmox restarts, and every machine/)]);
    await restart(commands, 'stop-start');
    expect(commands.changed).toEqual(['qm shutdown 210 --timeout 180', 'systemctl reboot']);
  });

  test('does not start a VM that is off if its GPU would not come back', async () => {
    const commands = told(record({ state: 'failed', failed: { phase: 'reboot', why: 'it hung' } }));
    await expect(planStart(commands.context(), aiVm(commands))).rejects.toThrow(/then restart proxmox/);
    expect(commands.changed).toEqual([]);
  });

  test('without a test, stops while a database runs or the cluster does not answer', async () => {
    const commands = told();
    podsOf.mockResolvedValue(running);
    await expect(restart(commands, 'reboot')).rejects.toThrow(/has not passed the proof under the running kernel/);
    podsOf.mockResolvedValue({ stdout: 'nonsense' });
    await expect(restart(commands, 'reboot')).rejects.toThrow(Blocked);
    expect(commands.changed).toEqual([]);
  });

  test('a reboot that the bootstrap did not request says nothing about the GPU', async () => {
    const commands = told(record({ state: 'passed' }));
    Object.assign(commands.says, {
      'ai-vm: systemctl reboot': { code: 255 },
      boot_id: `${BOOT}\n`,
      'is-system-running': 'running\n',
    });
    const restarting = restart(commands, 'reboot');
    await expect(restarting).rejects.toThrow(/broke before it got the command/);
  });

  test('a VM without login fails the part of the test that had started, with the way out', async () => {
    const without = /gpu: false in homelab.ts, ssh root@192.168.1.10 qm stop 210/;
    const progress = async (of?: GpuRecord, config?: string, stderr = 'Connection timed out') => {
      const commands = told(of, config);
      Object.assign(commands.says, { boot_id: `${BOOT}\n`, 'ai-vm: true': { code: 255, stderr } });
      const { message } = await noLogin(homelab, aiVm(commands), new TimedOut('waited'));
      return {
        message,
        kept: commands.changed.map((each) => /"state":"(\w+)".*"phase":"(\S+?)"/.exec(each)?.slice(1)),
      };
    };
    const first = await progress(record({ begun: { phase: 'generate', boot: BOOT } }));
    expect(first).toEqual({ message: expect.stringMatching(without), kept: [['failed', 'generate']] });
    const later = await progress(record({ begun: { phase: 'reboot', boot: BOOT } }));
    expect(later).toEqual({ message: expect.stringMatching(/restart proxmox/), kept: [['failed', 'reboot']] });
    expect(await progress(record({ state: 'passed' }))).toEqual({ message: expect.stringMatching(without), kept: [] });
    expect((await progress(undefined, 'memory: 1\n')).message).toMatch(/console of ai-vm/);
    const refused = await progress(
      record({ begun: { phase: 'generate', boot: BOOT } }),
      undefined,
      'Permission denied (publickey)',
    );
    expect(refused).toEqual({ message: expect.stringMatching(/console of ai-vm/), kept: [] });
  });

  test('without a cluster there is no database, and without a GPU no risk', async () => {
    podsOf.mockRejectedValue(new NotReady('there is no kubeconfig yet'));
    const commands = told();
    await restart(commands, 'stop-start');
    expect(commands.changed).toHaveLength(2);
    const plain = told(undefined, 'memory: 32768\n');
    podsOf.mockResolvedValue(running);
    await restart(plain, 'stop-start');
    expect(plain.changed).toHaveLength(2);
  });
});

describe('the record of the GPU test', () => {
  test('a killed run resumes at its phase; if the host went down meanwhile, the test failed', () => {
    const begun = record({ done: ['cpu', 'generate'], begun: { phase: 'reboot', boot: BOOT } });
    expect(remaining(stateOf(begun, KERNEL, BOOT))).toEqual(['reboot', 'stop-start']);
    expect(stateOf(begun, KERNEL, OTHER_BOOT).hungAt).toBe('reboot');
    expect(remaining(stateOf(undefined, KERNEL, BOOT))).toEqual(['cpu', 'generate', 'reboot', 'stop-start']);
  });

  test('is valid for one kernel: another kernel repeats everything except the CPU', () => {
    const passed = record({ state: 'passed', done: ['cpu', 'generate', 'reboot', 'stop-start'] });
    expect(stateOf(passed, KERNEL, BOOT).verdict).toBe('passed');
    expect(remaining(stateOf(passed, '6.18.1-1-pve', BOOT))).toEqual(['generate', 'reboot', 'stop-start']);
  });

  test('measures the speed of another model again, without a comparison', () => {
    const passed = record({ state: 'passed', done: ['cpu', 'generate', 'reboot', 'stop-start'] });
    expect(ofModel(passed, TAG)).toBe(passed);
    const other = ofModel(passed, 'llama3.1:70b')!;
    expect(other.cpu).toBeUndefined();
    expect(stateOf(other, KERNEL, BOOT).verdict).toBe('passed');
    expect(remaining(stateOf(other, '6.18.1-1-pve', BOOT))).toEqual(['cpu', 'generate', 'reboot', 'stop-start']);
  });

  describe('with other options', () => {
    const failed = record({ state: 'failed', failed: { phase: 'generate', why: 'PSP tmr init failed' } });
    const options = optionsText({ audioRom: 'roms/a.rom' });

    test('drops the result, and keeps the speed of the CPU and the options that were tried', () => {
      expect(ofOptions(failed, optionsText({}))).toBe(failed);
      const other = ofOptions(failed, options)!;
      expect(stateOf(other, KERNEL, BOOT).verdict).toBe('unproven');
      expect(remaining(stateOf(other, KERNEL, BOOT))).toEqual(['generate', 'reboot', 'stop-start']);
      expect(other.tried).toEqual({ [optionsText({})]: 'PSP tmr init failed' });
      const third = ofOptions(
        { ...other, state: 'failed', options, failed: { phase: 'generate', why: 'x' } },
        optionsText({ xVga: true }),
      )!;
      expect(Object.values(third.tried!)).toEqual(['PSP tmr init failed', 'x']);
    });
    test('a host that went down with the first options says nothing about these', () => {
      const begun = record({ begun: { phase: 'generate', boot: BOOT } });
      expect(stateOf(ofOptions(begun, options), KERNEL, OTHER_BOOT).hungAt).toBeUndefined();
    });
    test('repeats a passed test; another file is another ROM', () => {
      const passed = record({ state: 'passed', done: ['cpu', 'generate', 'reboot', 'stop-start'], options });
      expect(stateOf(ofOptions(passed, options), KERNEL, BOOT).verdict).toBe('passed');
      expect(stateOf(ofOptions(passed, optionsText({ audioRom: 'roms/b.rom' })), KERNEL, BOOT).verdict).toBe(
        'unproven',
      );
    });
    test('a GPU that does not compute lists each option to try once, and then that none is left', () => {
      const progress = (passthrough: GpuPassthrough, tried?: GpuRecord['tried']) => {
        const hosts = { ...homelab.hosts, proxmox: { ...homelab.hosts.proxmox, gpuPassthrough: passthrough } } as never;
        const other = { ...homelab, hosts };
        const state = { ...stateOf({ ...failed, ...(tried && { tried }) }, KERNEL, BOOT) };
        return unusable(other, aiVm(new Told({}), other), state).message;
      };
      const all: GpuPassthrough[] = [
        {},
        { audioRom: 'roms/a.rom' },
        { audioRom: 'roms/a.rom', xVga: true },
        { xVga: true },
        { rom: false, xVga: true },
      ];
      const tried = (count: number) => Object.fromEntries(all.slice(0, count).map((each) => [optionsText(each), 'x']));
      const next = all.map(
        (each, index) => /(gpuPassthrough: \{.*?\}|No way \w+)/.exec(progress(each, tried(index)))?.[1],
      );
      expect(next).toEqual([
        "gpuPassthrough: { audioRom: 'roms/AMDGopDriver.rom' }",
        "gpuPassthrough: { audioRom: 'roms/AMDGopDriver.rom', xVga: true }",
        'gpuPassthrough: { xVga: true }',
        'gpuPassthrough: { rom: false, xVga: true }',
        'No way to',
      ]);
      expect(progress({})).toMatch(/PSP tmr init failed.*gpu: false/);
    });
  });

  test('keeps a GPU that computes but does not survive restarts; drops one that does not compute', () => {
    const failed = (phase: 'generate' | 'reboot') =>
      stateOf(record({ state: 'failed', failed: { phase, why: 'x' } }), KERNEL, BOOT);
    expect(failed('reboot').verdict).toBe('unsafe');
    expect(failed('generate').verdict).toBe('unusable');
  });

  test.each(['', 'garbage', '{}', '[]', 'null', '{"vmid":210,"state":"failed","kernel":"x","done":[]}'])(
    '%j is no record',
    async (text) => {
      await expect(readRecord(aiVm(new Told({ 'gpu-210.json': text })))).rejects.toThrow(Blocked);
    },
  );
});

describe('an Ollama that started before the driver of the GPU', () => {
  const ok = (body: object) => `${JSON.stringify(body)}\n200`;
  const onCpu = ON_CPU;
  const onGpu = ON_GPU;

  /** Its log after each of its starts. */
  function told(...logs: string[]) {
    let starts = 0;
    const isOnGpu = () => logs[starts] === onGpu;
    const generate = () => ok({ eval_count: 64, eval_duration: isOnGpu() ? 5e9 : 14e9 });
    const loaded = () => ({ name: TAG, size: 9, size_vram: isOnGpu() ? 9 : 0, context_length: 16384 });
    const of = record({ done: ['cpu', 'reboot', 'stop-start'] });
    return new Told({
      'qm config 210': 'memory: 32768\nhostpci0: 0000:c5:00.0,pcie=1\n',
      'cat /var/lib/collab-homelab/gpu-210.json': JSON.stringify(of),
      'uname -r': `${KERNEL}\n`,
      boot_id: `${BOOT}\n`,
      '/api/version': ok({ version: '1' }),
      '/api/generate': generate,
      '/api/ps': () => ok({ models: [{ ...loaded(), expires_at: '2318-01-01T00:00:00Z' }] }),
      'ubuntu/ollama-log.sh': () => logs[starts]!,
      'ubuntu/ollama.sh start': () => (starts++, ''),
    });
  }
  const words = ({ changed }: Told) => changed.map((each) => each.replace(/^.*"state":"(\w+)".*$/, '$1'));
  const prove = (commands: Told) => apply(gpuProved(commands.context(), ollamaOf(commands.context())));

  beforeEach(() => podsOf.mockReset().mockResolvedValue({ stdout: '{"items":[]}' }));

  test('is restarted once before the GPU is tested', async () => {
    const commands = told(onCpu, onGpu);
    await prove(commands);
    expect(words(commands)).toEqual(['proving', 'ubuntu/ollama.sh start', 'proving']);
    expect(commands.changed.at(-1)).toContain('"gpu":12.8');
  });
  test('is restarted only once', async () => {
    const commands = told(onCpu, onCpu, onGpu);
    await expect(prove(commands)).rejects.toThrow(/must compute in ai-vm, but did not/);
    expect(words(commands)).toEqual(['proving', 'ubuntu/ollama.sh start', 'failed']);
  });
  test('is not restarted when it found another GPU', async () => {
    const commands = told(onGpu.replace('pci_id=0000:01', 'pci_id=0000:05'), onGpu);
    await expect(prove(commands)).rejects.toThrow(
      /with the GPU at 0000:01:00.0, and its log names .*pci_id=0000:05:00.0/,
    );
    expect(words(commands)).toEqual(['proving', 'failed']);
  });
  test('a request for a resident model keeps it loaded; on the CPU it is unloaded', async () => {
    const commands = told(onGpu);
    const read = jest.spyOn(commands, 'read');
    const asked = () => read.mock.calls.map(([, argv]) => argv.join(' ')).find((each) => each.includes('"prompt"'));
    await prove(commands);
    expect(asked()).toContain('"keep_alive":-1');
    read.mockClear();
    commands.says['cat /var/lib/collab-homelab/gpu-210.json'] = JSON.stringify(record({ done: [] }));
    await apply(speedOnCpuMeasured(homelab, ollamaOf(commands.context())));
    expect(asked()).toMatch(/"keep_alive":0.*"num_gpu":0/);
  });
});

describe('a part of the GPU test', () => {
  const prove = (commands: Told) => apply(gpuProved(commands.context(), ollamaOf(commands.context())));
  const told = (says: Told['says']) =>
    new Told({
      'qm config 210': 'memory: 32768\nhostpci0: 0000:c5:00.0,pcie=1\n',
      'cat /var/lib/collab-homelab/gpu-210.json': JSON.stringify(record({ done: ['cpu', 'generate'] })),
      'uname -r': `${KERNEL}\n`,
      'proxmox: cat /proc/sys/kernel/random/boot_id': `${BOOT}\n`,
      ...says,
    });
  const records = ({ changed }: Told) =>
    changed
      .filter((each) => each.startsWith('proxmox/gpu-record'))
      .map((each) => JSON.parse(each.replace(/^\S+ \d+ /, '')));

  beforeEach(() => podsOf.mockReset().mockResolvedValue({ stdout: '{"items":[]}' }));

  test('has the same plan after an earlier step wrote a new record: another model under another kernel', async () => {
    const commands = told({ 'proxmox/gpu-record': '' });
    const file = 'cat /var/lib/collab-homelab/gpu-210.json';
    commands.says[file] = JSON.stringify(record({ state: 'passed', kernel: '6.14.0-1-pve', tag: 'other:1b' }));
    const step = gpuProved(commands.context(), ollamaOf(commands.context()));
    const planned = shownLines((await step.plan())!);
    expect(planned[0]).toBe(`proved for kernel 6.14.0-1-pve, and proxmox runs ${KERNEL}: again`);
    // As the measurement on the CPU writes it.
    commands.says[file] = JSON.stringify(record({ done: ['cpu'] }));
    expect(shownLines((await step.plan())!)).toEqual(planned);
  });

  test('that failed while the host answers does not start again', async () => {
    const commands = told({
      'ai-vm: cat /proc/sys/kernel/random/boot_id': `${BOOT}\n`,
      'ai-vm: systemctl reboot': { code: 255 },
      'is-system-running': 'running\n',
    });
    await expect(prove(commands)).rejects.toThrow(/broke before it got the command/);
    expect(records(commands).map(({ begun, state }) => [begun?.phase, state])).toEqual([
      ['reboot', 'proving'],
      [undefined, 'proving'],
    ]);
  });

  test('fails if the host went down, even if somebody switched it on again in time', async () => {
    let boots = 0;
    const ok = (body: object) => `${JSON.stringify(body)}\n200`;
    const commands = told({
      'proxmox: cat /proc/sys/kernel/random/boot_id': () => `${boots > 0 ? OTHER_BOOT : BOOT}\n`,
      'ai-vm: cat /proc/sys/kernel/random/boot_id': () => `${boots > 0 ? OTHER_BOOT : BOOT}\n`,
      'ai-vm: systemctl reboot': () => (boots++, ''),
      'cloud-init status': '{"status":"done","errors":[]}',
      '/api/version': ok({ version: '1' }),
      '/api/generate': ok({ eval_count: 64, eval_duration: 5e9 }),
      '/api/ps': ok({
        models: [{ name: TAG, size: 9, size_vram: 9, context_length: 16384, expires_at: '2318-01-01T00:00:00Z' }],
      }),
      'ubuntu/ollama-log.sh': ON_GPU,
    });
    await expect(prove(commands)).rejects.toThrow(/did not survive this.*proxmox went down at it/);
    expect(records(commands).at(-1)).toMatchObject({ state: 'failed', failed: { phase: 'reboot' } });
  });
});

describe('a model computes on the GPU', () => {
  const seen = {
    tag: 'm:1',
    length: 16384,
    loaded: { size: 100, sizeVram: 100, context: 16384, stays: true },
    log: parseLog(ON_GPU),
    tokensPerSecond: 13,
    cpu: 4.5,
  };
  test('if the whole model runs by Vulkan on that GPU, faster than the CPU', () =>
    expect(gpuProblems(seen)).toEqual([]));
  test.each([
    ['another name', ON_GPU.replace(/description="[^"]*"/, 'description="AMD Radeon 890M Graphics"')],
    ['no name', ON_GPU.replace(/description="[^"]*"/, 'description=""')],
    [
      'an address in upper case',
      ON_GPU.replace('gpu=0000:01:00.0', 'gpu=0000:c1:00.0').replace('pci_id=0000:01', 'pci_id=0000:C1'),
    ],
    ['an address that Ollama does not know', ON_GPU.replace('pci_id=0000:01:00.0', 'pci_id=""')],
    ['another device beside it', `${ON_GPU.replace('pci_id=0000:01', 'pci_id=0000:09')}\n${ON_GPU}`],
  ])('also with %s', (_, log) => expect(gpuProblems({ ...seen, log: parseLog(log) })).toEqual([]));
  test.each([
    [{ loaded: undefined }, /not loaded/],
    [{ loaded: { ...seen.loaded, sizeVram: 99 } }, /are on the GPU/],
    [{ loaded: { ...seen.loaded, context: 4096 } }, /4096 tokens, not 16384/],
    [
      { log: parseLog(ON_CPU) },
      /must compute by Vulkan with the GPU at 0000:01:00.0, .* library=cpu pci_id=unknown type=none cpu/,
    ],
    [{ log: parseLog(ON_GPU.replace('pci_id=0000:01', 'pci_id=0000:02')) }, /must compute by Vulkan/],
    // Neither the name of the GPU nor an address without Vulkan is enough.
    [
      { log: parseLog(ON_GPU.replace('pci_id=0000:01:00.0 type=iGPU', 'pci_id="" type=discrete')) },
      /must compute by Vulkan/,
    ],
    [{ log: parseLog(ON_GPU.replace('library=Vulkan', 'library=cpu')) }, /must compute by Vulkan/],
    [{ log: parseLog('') }, /its log names nothing/],
    [{ tokensPerSecond: 4.5 }, /no more than the 4.5 of the CPU/],
  ])('%j is a problem', (change, problem) => {
    expect(gpuProblems({ ...seen, ...change })).toEqual([expect.stringMatching(problem)]);
  });
});

test('passes through single functions, never the whole slot', () => {
  const at = (slot: string) => ({ slot, kind: '0300', vendor: '1002', device: '1900', name: 'x', modules: [] });
  const found = { gpu: at('0000:c5:00.0'), audio: at('0000:c5:00.1'), npu: at('0000:c6:00.1') };
  expect([...wantedDevices(found, { gpu: true, npu: true }, 'pve')]).toEqual([
    ['hostpci0', '0000:c5:00.0,pcie=1,romfile=collab-homelab-vbios.bin'],
    ['hostpci1', '0000:c5:00.1,pcie=1'],
    ['hostpci2', '0000:c6:00.1,pcie=1'],
  ]);
  expect([...wantedDevices(found, {}, 'pve')]).toEqual([]);
  const slots = (passthrough: GpuPassthrough) => [...wantedDevices(found, { gpu: true }, 'pve', passthrough).values()];
  expect(slots({ audioRom: 'roms/x.rom', xVga: true })).toEqual([
    '0000:c5:00.0,pcie=1,romfile=collab-homelab-vbios.bin,x-vga=1',
    '0000:c5:00.1,pcie=1,romfile=collab-homelab-audio.rom',
  ]);
  expect(slots({ sound: false })).toEqual(['0000:c5:00.0,pcie=1,romfile=collab-homelab-vbios.bin']);
  expect(slots({ rom: false })).toEqual(['0000:c5:00.0,pcie=1', '0000:c5:00.1,pcie=1']);
  expect(() => wantedDevices({ gpu: found.gpu }, { gpu: true }, 'pve')).toThrow(Blocked);
});

describe('cloud-init', () => {
  test('keeps the instance id when everything else changes', () => {
    const other = { ...withAiVm({ address: '192.168.1.31', memory: Size.gibibytes(8) }), access: { sshKeys: [KEY] } };
    expect(cloudInit(other, 'ai-vm').meta).toBe(cloudInit(homelab, 'ai-vm').meta);
    expect(cloudInit(other, 'ai-vm').user).not.toBe(cloudInit(homelab, 'ai-vm').user);
  });

  test('a YAML 1.1 parser such as that of cloud-init reads texts unchanged', () => {
    const mac = '52:54:00:12:34:56';
    const { network, user } = cloudInit({ ...withAiVm({ mac }), access: { sshKeys: [KEY] } }, 'ai-vm');
    expect(parse(network, { version: '1.1' }).ethernets.lan.match.macaddress).toBe(mac);
    const { users, ssh_pwauth: passwords, write_files: files } = parse(user, { version: '1.1' });
    expect(users[0]).toMatchObject({ name: 'homelab', lock_passwd: true, ssh_authorized_keys: [KEY] });
    expect(passwords).toBe(false);
    expect(files[0].permissions).toBe('0644');
  });

  test('the example SSH key, or none, stops the bootstrap, so that nobody is locked out', () => {
    expect(() => requireLoginKeys(homelab)).toThrow(/holds the example/);
    expect(() => requireLoginKeys({ ...homelab, access: undefined } as never)).toThrow(/must hold a public key/);
    expect(() => requireLoginKeys({ ...homelab, access: { sshKeys: [KEY] } })).not.toThrow();
    expect(authorizedKeys({ ...homelab, access: { sshKeys: [KEY] } })).toContain(`\n${KEY}\n`);
  });
});

test('the firewall permits nodes and the Mac to reach the models, and access.from to reach SSH', () => {
  const { rules } = firewall({ ...homelab, access: { sshKeys: [KEY], from: ['192.168.1.77'] } }, 'ai-vm');
  expect(rules).toContain('ip saddr { 192.168.1.77 } tcp dport 22 accept');
  expect(rules).toContain('ip saddr { 192.168.1.20, 192.168.1.21, 192.168.1.22, 192.168.1.50 } tcp dport 11434 accept');
  expect(rules.match(/tcp dport/g)).toHaveLength(2);
  expect(rules).toContain('policy drop;');
  expect(firewall(homelab, 'ai-vm').digest).not.toBe(/comment "(.*)"/.exec(rules)![1]);
});

test('Ollama uses the GPU only if there is one, and restarts when a setting changes', () => {
  const { text, mark } = ollamaOverride(homelab);
  expect(text.match(/^Environment="OLLAMA_.*"$/gm)!.map((line) => line.slice(13, -1))).toEqual([
    'OLLAMA_HOST=0.0.0.0:11434',
    'OLLAMA_IGPU_ENABLE=1',
    'OLLAMA_CONTEXT_LENGTH=16384',
    'OLLAMA_FLASH_ATTENTION=1',
    'OLLAMA_KV_CACHE_TYPE=q8_0',
    'OLLAMA_NUM_PARALLEL=1',
    'OLLAMA_MAX_LOADED_MODELS=2',
    'OLLAMA_KEEP_ALIVE=30m',
    'OLLAMA_LOAD_TIMEOUT=15m',
    'OLLAMA_NO_CLOUD=1',
  ]);
  expect(text).not.toContain('HSA_OVERRIDE');
  const onCpu = ollamaOverride(withAiVm({ gpu: false }));
  expect(onCpu.text).not.toMatch(/IGPU|ExecStartPre/);
  expect(onCpu.mark).not.toBe(mark);
});

describe('the start of Ollama waits for the GPU', () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'gpu-'));
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  /** Runs it like systemd, on a machine with these files and nodes. `sleep` takes no time. */
  function run(files: readonly string[]) {
    const root = fs.mkdtempSync(join(folder, 'root-'));
    for (const file of files) {
      fs.mkdirSync(dirname(join(root, file)), { recursive: true });
      fs.writeFileSync(join(root, file), file.endsWith('vendor') ? '0x1002\n' : '');
    }
    const [, command] = /^ExecStartPre=-\/bin\/sh -c '([^'%\\]*)'$/m.exec(ollamaOverride(homelab).text)!;
    const script = command!.replaceAll('$$', '$').replaceAll(/\/(sys|dev)\/(?=bus|dri)/g, (path) => `${root}${path}`);
    const { status, stdout, stderr } = spawnSync('sh', ['-c', `sleep() { echo slept; }; ${script}`], {
      encoding: 'utf8',
    });
    return { status, slept: stdout.split('\n').length - 1, stderr };
  }
  const vendor = 'sys/bus/pci/devices/0000:01:00.0/vendor';

  test('not when there is no GPU yet', () => expect(run([])).toMatchObject({ status: 0, slept: 0, stderr: '' }));
  test('not when its render node exists', () =>
    expect(run([vendor, 'dev/dri/renderD128'])).toMatchObject({ status: 0, slept: 0, stderr: '' }));
  test('for one minute, and then starts without it', () =>
    expect(run([vendor])).toMatchObject({ status: 0, slept: 60, stderr: expect.stringMatching(/^no render node/) }));
});

test('loads resident models after each start of Ollama', () => {
  expect(loadModelsUnit(homelab)).toMatch(/^ExecStart=.*load-models 11434 qwen2\.5:14b-instruct-q4_K_M 16384$/m);
  const files = [...renderAiVms(homelab).keys()];
  expect(files).toContain('ai-vm/etc/systemd/system/collab-homelab-models.service');
  const models = { chat: { ...homelab.llm!.models.chat!, resident: false } };
  expect([...renderAiVms(withAiVm({ gpu: false }, { models })).keys()].join()).not.toMatch(/models\.service|ttm/);
});

test('the GPU gets the memory that the system does not need', () => {
  const pages = (gibibytes: number) => ttmOptions({ memory: Size.gibibytes(gibibytes) } as never).pages / 262144;
  expect([pages(32), pages(48), pages(6)]).toEqual([28, 44, 3]);
});
