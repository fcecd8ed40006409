import { defineHomelab, type Homelab } from '../../../inventory';
import { sleepMinutes } from '../../../scripts/models/doctor';
import { loopback } from '../../../scripts/models/own-ollama';
import { variables } from '../../../scripts/models/try';
import homelab from '../../fixtures/homelab';

const URL_HERE = new URL('http://127.0.0.1:11434');
const withClients = (connects: Homelab['services'][string]['connects']) =>
  defineHomelab({ ...homelab, services: { ...homelab.services, assistant: { connects } } });

describe('the variables of try', () => {
  test('are those that the cluster gives each client', () => {
    expect(variables(withClients([{ model: 'writer' }]), 'writer', URL_HERE)).toEqual([
      '# assistant',
      'export LLM_HOST=127.0.0.1',
      'export LLM_PORT=11434',
      'export LLM_BASE_URL=http://127.0.0.1:11434/v1',
      'export LLM_MODEL=writer:stable',
    ]);
  });

  test('have the prefix of the connection', () => {
    const lines = variables(withClients([{ model: 'chat' }, { model: 'writer' }]), 'writer', URL_HERE);
    expect(lines[1]).toBe('export LLM_WRITER_HOST=127.0.0.1');
  });

  test('of a model without clients are a comment', () => {
    expect(variables(withClients([{ model: 'chat' }]), 'writer', URL_HERE)).toEqual([
      expect.stringContaining('no service connects to writer'),
    ]);
  });
});

test.each(['http://127.0.0.1:11434', 'http://localhost:1', 'http://[::1]:11434'])('%s is a loopback address', (url) => {
  expect(loopback(url).href).toContain(url);
});

test.each(['http://192.168.1.50:11434', 'http://mac.local:11434'])(
  '%s is rejected, because it may be another machine',
  (url) => {
    expect(() => loopback(url)).toThrow(/must be a loopback address, got/);
  },
);

test('reads from pmset after how many minutes a Mac sleeps', () => {
  const said = (minutes: string) =>
    `System-wide power settings:\nCurrently in use:\n standby              0\n sleep                ${minutes}\n disksleep            10\n displaysleep         5\n`;
  expect(sleepMinutes(said('1 (sleep prevented by caffeinate)'))).toBe(1);
  expect(sleepMinutes(said('0'))).toBe(0);
  expect(sleepMinutes('displaysleep 5')).toBeUndefined();
});
