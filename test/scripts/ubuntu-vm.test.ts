import { Blocked } from '../../scripts/engine/problem';
import { apply, aiVm, Told } from './ubuntu';

/** The fields of `cloud-init status --format=json` that are read, in the form that canonical/cloud-init#5903 quotes. */
const status = (change: object) =>
  `${JSON.stringify(
    {
      boot_status_code: 'enabled-by-generator',
      datasource: 'nocloud',
      detail: 'DataSourceNoCloud [seed=/dev/sr0]',
      errors: [],
      extended_status: 'done',
      last_update: 'Thu, 01 Jan 1970 00:00:12 +0000',
      recoverable_errors: {},
      stage: null,
      status: 'done',
      ...change,
    },
    null,
    2,
  )}\n`;

const ask = (said: Told['says'][string]) => aiVm(new Told({ 'cloud-init status': said })).firstBoot();

test('the first boot is complete, or still running', async () => {
  expect(await ask(status({}))).toBe('done');
  expect(await ask(status({ status: 'disabled' }))).toBe('done');
  expect(await ask(status({ status: 'running' }))).toBe('running');
  // 2: it continued after an error.
  expect(await ask({ code: 2, stdout: status({ recoverable_errors: { WARNING: ['x'] } }) })).toBe('done');
});

test('a machine without login yet is no error', async () => {
  expect(await ask({ code: 255, stderr: 'ssh: connect to host 192.168.1.30 port 22: Connection refused' })).toBe(
    undefined,
  );
});

test('a failed first boot, or another machine at its address, stops with the fix', async () => {
  const error = status({ status: 'error', errors: ["('scripts_user', RuntimeError('Runparts: 1 failures'))"] });
  await expect(ask({ code: 1, stdout: error })).rejects.toThrow(/Runparts: 1 failures.*cloud-init\.log/);
  const other = { code: 255, stderr: 'Host key verification failed.\r\n' };
  await expect(ask(other)).rejects.toThrow(/\n {2}ssh-keygen -R 192\.168\.1\.30$/);
  await expect(ask('{')).rejects.toThrow(Blocked);
});

test('the plan shows a script as it will run, and the script returns its output', async () => {
  const commands = new Told({ 'ubuntu/ollama.sh fetch': 'abc\n' });
  const printed: string[] = [];
  const action = aiVm(commands).script('ollama.sh', ['fetch', 'v1', ''], {}, ({ stdout }) => printed.push(stdout));
  expect(action.lines).toEqual(["ai-vm: ubuntu/ollama.sh fetch v1 ''"]);
  await apply({ title: '', plan: async () => ({ actions: [action] }) });
  expect(commands.changed).toEqual(['ubuntu/ollama.sh fetch v1 ']);
  expect(printed).toEqual(['abc\n']);
});

test('a script that does not print a fact is an error', async () => {
  const commands = new Told({ 'ubuntu/gtt.sh state': 'options=a=b\n' });
  expect(await aiVm(commands).facts('gtt.sh', ['state'], ['options'])).toEqual({ options: 'a=b' });
  await expect(aiVm(commands).facts('gtt.sh', ['state'], ['options', 'initramfs'])).rejects.toThrow(
    /gtt\.sh on ai-vm must tell initramfs/,
  );
});
