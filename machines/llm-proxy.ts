import { createHash } from 'node:crypto';
import { contextSettings, llmClients, servedName, type Homelab, type Llm } from '../inventory';
import { bytes } from '../values/quantity';
import { LOAD_SECONDS } from './ollama';

/** Files of HAProxy, the proxy in front of Ollama. */
export const PROXY_FILES = {
  /** Path of the configuration in Ubuntu's package. */
  config: '/etc/haproxy/haproxy.cfg',
  /** SHA-256 of each key, and its client. Only root can read it. */
  clients: '/etc/collab-homelab/llm-clients.map',
  socket: '/run/haproxy/admin.sock',
} as const;

export const METRICS_PORT = 8405;

/** Most simultaneous connections. An idle connection holds no buffer. */
const CONNECTIONS = 512;
/** Bytes of a buffer beside the body: headers, and space for headers that the proxy adds. */
const HEADERS = 16 * 1024;
/** Bytes of a token in JSON: about 4 letters of English, or 2 of another script as \uXXXX with 6 bytes each. */
const BYTES_PER_TOKEN = 16;
const LEAST_BODY = 256 * 1024;
/** Longest time without a byte from Ollama, while it loads the model from the disk and then reads the prompt. */
const SILENT_SECONDS = LOAD_SECONDS + 300;

/** Allowed paths: POST runs or describes a model, GET lists all. Requests that create, copy or remove models are denied. */
const RUNS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/api/generate',
  '/api/chat',
  '/api/embed',
  '/api/embeddings',
];
const DESCRIBES = ['/api/show'];
const LISTS = ['/v1/models', '/api/tags', '/api/version', '/api/ps'];

/** Limits of the gateway, with their defaults. */
interface Limits {
  readonly concurrent: number;
  readonly perMinute: number;
  readonly queue: number;
  readonly waitSeconds: number;
  readonly bodyBytes: number;
}

function limitsOf({ gateway = {}, models }: Llm): Limits {
  const { concurrent = 8, perMinute = 300, queue = 32, wait, longestBody } = gateway;
  const longest = Math.max(0, ...Object.values(models).map(({ context }) => context));
  return {
    concurrent,
    perMinute,
    queue,
    waitSeconds: wait?.toSeconds() ?? 300,
    bodyBytes: longestBody === undefined ? Math.max(LEAST_BODY, BYTES_PER_TOKEN * longest) : bytes(longestBody),
  };
}

/** A model in Ollama, and the HAProxy backend in which its requests wait. */
interface Queue {
  readonly backend: string;
  readonly model: string;
  readonly context: number;
}

/** One backend, with its queue, for each name that clients send. */
function queuesOf({ models }: Llm): Queue[] {
  const queues = Object.entries(models).map(([name, model]): [string, Queue] => {
    const served = servedName(name, model);
    return [served, { backend: `model-${name}`, model: served, context: model.context }];
  });
  return [...new Map(queues).values()];
}

/**
 * The configuration of HAProxy 2.8. It contains no keys. The mark is a digest of it. HAProxy prints the mark on its socket, so
 * that the running configuration can be compared with the wanted one.
 */
export function proxyConfig(homelab: Homelab): { readonly text: string; readonly mark: string } {
  const mark = createHash('sha256').update(config(homelab, '')).digest('hex').slice(0, 16);
  return { text: config(homelab, mark), mark };
}

function config(homelab: Homelab, mark: string): string {
  const llm = homelab.llm!;
  const { address } = homelab.machines[llm.machine]!;
  const limits = limitsOf(llm);
  const scraped = (llm.gateway?.scrapedBy ?? []).length > 0;
  return [
    '# Managed by the bootstrap of the homelab: the proxy in front of Ollama.',
    ...section('global', [
      `description ${mark}`,
      'log stdout format raw local0 info',
      'chroot /var/lib/haproxy',
      'user haproxy',
      'group haproxy',
      `stats socket ${PROXY_FILES.socket} mode 600 level admin`,
      `maxconn ${CONNECTIONS * 2}`,
      // The body of a request must fit into one buffer, because HAProxy reads the name of the model from it.
      `tune.bufsize ${limits.bodyBytes + HEADERS}`,
      // After a reload, the old process may finish its answers within this time.
      `hard-stop-after ${SILENT_SECONDS}s`,
    ]),
    ...section('defaults', [
      'mode http',
      'log global',
      'option dontlognull',
      // Removes a request from the queue when its client has closed the connection.
      'option abortonclose',
      'timeout connect 5s',
      'timeout client 60s',
      'timeout http-request 30s',
      // Longer than clients keep an idle connection (Go: 90 s), so that HAProxy does not close one while a request arrives.
      'timeout http-keep-alive 120s',
      `timeout server ${SILENT_SECONDS}s`,
      `timeout queue ${limits.waitSeconds}s`,
      ...[502, 503, 504].map(
        (status) =>
          `http-error status ${status} content-type application/json ${status === 503 ? 'hdr Retry-After 5 ' : ''}string '${errorText('the models do not answer, or too many requests wait')}'`,
      ),
    ]),
    ...section('frontend clients', [
      `bind ${address}:${llm.port}`,
      `maxconn ${CONNECTIONS}`,
      'log-format "client=%[var(txn.client)] model=%{+Q}[var(txn.model)] %HM %HPO status=%ST bytes=%B queue_ms=%Tw first_byte_ms=%Tr total_ms=%Ta waiting=%bq end=%ts refused=%{+Q}[var(txn.refused)]"',
      `stick-table type string len 64 size 1k expire 10m store http_req_rate(1m),conn_cur`,
      ...[...whoMayAsk(limits), ...whatMayBeAsked(homelab, limits)].flat(),
      // In the queue, the client with fewer requests goes first.
      'http-request set-priority-class sc_conn_cur(0)',
      'http-request del-header Authorization',
      // When Ollama listens on loopback only, it answers 403 to an unknown Host header.
      `http-request set-header Host 127.0.0.1:${llm.port}`,
      ...queuesOf(llm).map(({ backend, model }) => `use_backend ${backend} if runs { var(txn.model) -m str ${model} }`),
      'default_backend lists',
    ]),
    ...queuesOf(llm).flatMap(({ backend }) =>
      section(`backend ${backend}`, [
        `server ollama 127.0.0.1:${llm.port} maxconn ${contextSettings(llm).parallel} track lists/ollama`,
      ]),
    ),
    ...section('backend lists', [
      'option httpchk GET /api/version',
      'timeout check 10s',
      `server ollama 127.0.0.1:${llm.port} check inter 5s fastinter 1s downinter 1s rise 1 fall 3`,
    ]),
    ...section('frontend metrics', [
      `bind 127.0.0.1:${METRICS_PORT}`,
      ...(scraped ? [`bind ${address}:${METRICS_PORT}`] : []),
      'http-request use-service prometheus-exporter if { path /metrics }',
      'http-request return status 404',
      'option dontlog-normal',
    ]),
    '',
  ].join('\n');
}

/** Rules in order: key, client, path, limits. HAProxy reads the body only after them. */
function whoMayAsk({ bodyBytes, concurrent, perMinute }: Limits): (string | string[])[] {
  return [
    `http-request set-var(txn.client) http_auth_bearer,sha2(256),hex,lower,map_str(${PROXY_FILES.clients})`,
    refuse('401 hdr WWW-Authenticate Bearer', 'the key is missing or wrong', '!{ var(txn.client) -m found }'),
    `acl runs path ${RUNS.join(' ')}`,
    `acl asks path ${[...RUNS, ...DESCRIBES].join(' ')}`,
    `acl lists path ${LISTS.join(' ')}`,
    'acl lists path_reg ^/v1/models/[A-Za-z0-9._:/-]+$',
    refuse('403', 'only inference passes here', '!asks !lists'),
    refuse('405', 'another method is needed', 'asks !{ method POST }'),
    refuse('405', 'another method is needed', 'lists !{ method GET HEAD }'),
    refuse('413', `the body is longer than ${bodyBytes} bytes`, `{ req.body_size gt ${bodyBytes} }`),
    'http-request track-sc0 var(txn.client)',
    refuse(
      '429 hdr Retry-After 5',
      `more than ${perMinute} requests in a minute`,
      `{ sc_http_req_rate(0) gt ${perMinute} }`,
    ),
    refuse(
      '429 hdr Retry-After 1',
      `more than ${concurrent} requests at the same time`,
      `{ sc_conn_cur(0) gt ${concurrent} }`,
    ),
  ];
}

/** Rules for the model: it must be known, unchanged in its context, and have space in its queue. */
function whatMayBeAsked(homelab: Homelab, { bodyBytes, queue }: Limits): (string | string[])[] {
  const queues = queuesOf(homelab.llm!);
  // HAProxy takes at most 64 words on a line.
  const mayUse = llmClients(homelab).flatMap(({ name, models }) =>
    models.map((model) => `acl may_use var(txn.use) -m str "${name} ${model}"`),
  );
  return [
    'http-request wait-for-body time 30s if asks',
    refuse('413', `the body is longer than ${bodyBytes} bytes`, `asks { req.body_len gt ${bodyBytes} }`),
    "http-request set-var(txn.wants) req.body,json_query('$.model') if asks",
    refuse('400', 'the body must be JSON that names a model', 'asks !{ var(txn.wants) -m found }'),
    refuse(
      '400',
      'the body must be one JSON object with model, options, keep_alive and options.num_ctx at most once each, in lower case and without escapes: remove the others',
      `asks !{ req.body -m reg '${readOneWay()}' }`,
    ),
    'http-request set-var(txn.use) var(txn.client),concat(" ",txn.wants) if asks',
    ...mayUse,
    refuse('403', 'this client is not connected to this model', 'asks !may_use'),
    // Logs only known names.
    'http-request set-var(txn.model) var(txn.wants) if asks',
    refuse(
      '400',
      'leave keep_alive out: the homelab says how long a model stays',
      "asks { req.body,json_query('$.keep_alive') -m found }",
    ),
    "http-request set-var(txn.context) req.body,json_query('$.options.num_ctx') if asks",
    ...queues.map(({ model, context }) =>
      refuse(
        '400',
        `leave num_ctx out, or give ${context}: another value makes Ollama load the model again`,
        `asks { var(txn.model) -m str ${model} } { var(txn.context) -m found } !{ var(txn.context) -m str ${context} }`,
      ),
    ),
    ...queues.map(({ backend, model }) =>
      refuse(
        '503 hdr Retry-After 5',
        `${queue} requests wait for this model`,
        `runs { var(txn.model) -m str ${model} } { queue(${backend}) ge ${queue} }`,
      ),
    ),
  ];
}

/**
 * Matches a body that HAProxy and Ollama read in the same way. Of two equal keys HAProxy reads the first one and Go the last one; Go
 * also reads `Model` and `mod\u0065l` as model. So a key that HAProxy reads may come once, and all keys beside it are plain ASCII.
 * Knows which text is a key: a request may hold the word in messages and in the schemas of tools. Possessive quantifiers (`*+`)
 * read the body once. If PCRE2 runs out of stack, the body does not match, and the request is denied.
 */
function readOneWay(): string {
  const value = '(?&value)';
  const once = (key: string, ofKey = value) => {
    const other = String.raw`\s*+(?!"(?i:${key})")"[!#-\[\]-~ ]*+"\s*+:${value}`;
    return String.raw`\s*+\{(?:${other}(?:,|(?=\})))*+(?:\s*+"${key}"\s*+:${ofKey}(?:,${other})*+)?\}\s*+`;
  };
  const text = String.raw`(?<text>"[^"\\]*+(?:\\[\x00-\xff][^"\\]*+)*+")`;
  const nested = String.raw`(?<nested>[{\[](?:[^"{}\[\]]++|(?&text)|(?&nested))*+[}\]])`;
  const any = String.raw`(?<value>\s*+(?:(?&text)|(?&nested)|[^\s",{}\[\]]++)\s*+)`;
  const options = String.raw`(?:${once('num_ctx')}|\s*+(?!\{)${value})`;
  return String.raw`(?(DEFINE)${text}${nested}${any})^(?=${once('model')}$)(?=${once('keep_alive')}$)${once('options', options)}$`;
}

/** An error in Ollama's format, which OpenAI libraries show too, and the same reason for the log. @param how status and headers */
function refuse(how: string, message: string, condition: string): string[] {
  const [status, ...headers] = how.split(' ');
  const answer = [status, 'content-type application/json', ...headers].join(' ');
  return [
    `http-request set-var(txn.refused) 'str("${message}")' if ${condition}`,
    `http-request return status ${answer} string '${errorText(message)}' if { var(txn.refused) -m found }`,
  ];
}

function errorText(message: string): string {
  return JSON.stringify({ error: message });
}

function section(title: string, lines: readonly string[]): string[] {
  return ['', title, ...lines.map((line) => `    ${line}`)];
}
