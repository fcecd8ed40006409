import * as fs from 'node:fs';
import { addressUp } from '../life';
import { askHaproxy } from './haproxy';
import { askOllama } from './ollama';
import { Failure, program, Unexpected, type Answer, type Context } from './program';

const WITH_VALUE: Readonly<Record<string, string>> = {
  '-o': 'output',
  '--output': 'output',
  '-C': 'continue',
  '--continue-at': 'continue',
  '-H': 'header',
  '--header': 'header',
  '-m': 'time',
  '--max-time': 'time',
  '--connect-timeout': 'time',
  '--speed-limit': 'time',
  '--speed-time': 'time',
  '--retry': 'retry',
  '--retry-delay': 'retry',
  '--retry-max-time': 'retry',
  '--proto': 'proto',
  '--proto-redir': 'proto',
  '-w': 'write',
  '--write-out': 'write',
  '-X': 'method',
  '--request': 'method',
  '-d': 'data',
  '--data': 'data',
  '--data-binary': 'data',
  '--cacert': 'tls',
  '--noproxy': 'network',
  '--resolve': 'network',
  '-K': 'config',
};
const PLAIN = [
  '--fail',
  '--fail-with-body',
  '--silent',
  '--show-error',
  '--location',
  '--head',
  '--create-dirs',
  '--remove-on-error',
  '--compressed',
  '--tlsv1.2',
  '--retry-connrefused',
  '--retry-all-errors',
  '--no-progress-meter',
];

/**
 * curl with the addresses of Simulation.urls: what is not there is 404, and a host that has no address at all does not resolve.
 * `POST URL` is the key of an address that is sent something, which the content function of the test reads in `calls`.
 */
export const curl = [
  program(['local', 'proxmox', 'ubuntu'], ['curl'], async (context) => {
    const { simulation, call, path, stdin } = context;
    if (call.argv.join(' ') === '--version') return 'curl 8.14.1 (x86_64-pc-linux-gnu)\n';
    const { urls, options, headers, flags } = parse(call.argv);
    if (options.config !== undefined) {
      if (options.config !== '-') throw new Unexpected('only -K - is known');
      readConfig((await stdin()).toString(), urls, options, headers);
    }
    const [url] = urls;
    if (url === undefined || urls.length > 1) throw new Unexpected('one address is expected');
    if (options.proto?.replace('=', '') === 'https' && !url.startsWith('https:'))
      throw new Failure(`curl: (1) Protocol "${url.split(':')[0]}" not supported or disabled in libcurl`);
    if (options.data?.startsWith('@-')) await stdin();
    const method = options.method ?? (options.data === undefined ? 'GET' : 'POST');
    const own = ['127.0.0.1', simulation.state.machines[call.machine]?.address];
    if (call.machine !== 'local' && own.some((address) => url.startsWith(`http://${address}:`)))
      return onItself(context, { url: new URL(url), method, headers }, options, flags);
    const known = simulation.urls[method === 'GET' ? url : `${method} ${url}`];
    const fails = ['f', '--fail', '--fail-with-body'].some((flag) => flags.includes(flag));
    if (known === undefined) {
      const { host, hostname } = new URL(url);
      if (/^[\d.]+$/.test(hostname) && !addressUp(simulation.state, hostname))
        throw new Failure(`curl: (7) Failed to connect to ${hostname}: No route to host`, 7);
      if (!Object.keys(simulation.urls).some((each) => each.includes(`//${host}/`)))
        throw new Failure(`curl: (6) Could not resolve host: ${host}`, 6);
      if (fails) throw new Failure('curl: (22) The requested URL returned error: 404', 22);
      return { stdout: options.write ? '404' : 'Not Found\n' };
    }
    const content = Buffer.from(typeof known === 'function' ? known() : known);
    const written = options.write?.replaceAll('%{http_code}', '200').replaceAll('\\n', '\n') ?? '';
    if (flags.includes('I') || flags.includes('--head'))
      return `HTTP/2 200\r\ncontent-length: ${content.length}\r\n\r\n${written}`;
    if (options.output === undefined || options.output === '-')
      return { stdout: Buffer.concat([content, Buffer.from(written)]) };
    if (options.output !== '/dev/null') {
      const target = path(options.output);
      const begin = options.continue === '-' && fs.existsSync(target) ? fs.statSync(target).size : 0;
      if (begin > content.length)
        throw new Failure('curl: (33) HTTP server does not seem to support byte ranges. Cannot resume.', 33);
      try {
        if (begin > 0) fs.appendFileSync(target, content.subarray(begin));
        else fs.writeFileSync(target, content);
      } catch (error) {
        throw new Failure(
          `curl: (23) Failure writing output to destination: ${(error as NodeJS.ErrnoException).code}`,
          23,
        );
      }
    }
    return written;
  }),
];

/** A machine asks itself: Ollama or the proxy in front of it may answer there. */
function onItself(
  { simulation, call, path }: Context,
  question: { readonly url: URL; readonly method: string; readonly headers: readonly string[] },
  { data, output, write }: Readonly<Record<string, string>>,
  flags: readonly string[],
): Answer {
  const { url } = question;
  const answer = askHaproxy(simulation, call.machine, question) ?? askOllama(simulation, call.machine, url, data);
  if (answer === undefined)
    throw new Failure(`curl: (7) Failed to connect to ${url.host} after 0 ms: Couldn't connect to server`, 7);
  if (answer.code >= 400 && (flags.includes('f') || flags.includes('--fail')))
    throw new Failure(`curl: (22) The requested URL returned error: ${answer.code}`, 22);
  if (output !== undefined && output !== '/dev/null') fs.writeFileSync(path(output), answer.body);
  if (answer.code >= 400 && flags.includes('--fail-with-body'))
    return {
      stdout: output === undefined ? answer.body : '',
      stderr: `curl: (22) The requested URL returned error: ${answer.code}\n`,
      code: 22,
    };
  const written = write?.replaceAll('%{http_code}', `${answer.code}`).replaceAll('\\n', '\n') ?? '';
  return { stdout: `${output === undefined ? answer.body : ''}${written}` };
}

function parse(argv: readonly string[]) {
  const urls: string[] = [];
  const flags: string[] = [];
  const options: Record<string, string> = {};
  const headers: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    if (word in WITH_VALUE) options[WITH_VALUE[word]!] = argv[++index] ?? '';
    else if (word.startsWith('--')) {
      if (!PLAIN.includes(word)) throw new Unexpected(`curl ${word}`);
      flags.push(word);
    } else if (/^-[A-Za-z]+$/.test(word))
      for (const [at, letter] of [...word.slice(1)].entries()) {
        const long = WITH_VALUE[`-${letter}`];
        if (long === undefined) flags.push(letter);
        else {
          options[long] = word.slice(at + 2) || (argv[++index] ?? '');
          break;
        }
      }
    else urls.push(word);
  }
  return { urls, flags, options, headers };
}

/** `-K -`: options as lines, so that a secret is no argument. */
function readConfig(text: string, urls: string[], options: Record<string, string>, headers: string[]): void {
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, name, value] = /^(\w+) = "(.*)"$/.exec(line) ?? [];
    if (name === 'url') urls.push(value!);
    else if (name === 'request') options.method = value!;
    else if (name === 'header') headers.push(value!);
    else throw new Unexpected(`curl -K with the line ${line}`);
  }
}
