import { sentence } from '../values/problem';
import { suggested } from '../values/nearest';
import type { Homelab } from './homelab';
import { isTuned, servedName, type Model, type TunedModel } from './models';
import { at } from './shape';

/** Validates models against the rest of a homelab: who uses them, their names on Ollama, the Mac that trains. */
export function modelProblems(homelab: Homelab): string[] {
  const models = Object.entries(homelab.llm?.models ?? {});
  return [
    ...models.flatMap(([name, model]) => [
      ...unknownClients(homelab, at('llm.models', name), model),
      ...(isTuned(model) ? tunedProblems(homelab, at('llm.models', name), model) : []),
    ]),
    ...namesOnOllama(models),
  ];
}

/** Whether a service or web app may connect to a model. */
export function mayUse(model: Model, client: string): boolean {
  return model.usedBy === undefined || model.usedBy.includes(client);
}

function unknownClients({ services, webApps }: Homelab, place: string, { usedBy = [] }: Model): string[] {
  const clients = [...Object.keys(services), ...Object.keys(webApps)];
  return usedBy.flatMap((name, index) => {
    const what = `${place}.usedBy[${index}]`;
    if (usedBy.indexOf(name) !== index)
      return [sentence({ what: `${what} must be used once`, got: name, fix: 'remove one of the two' })];
    if (clients.includes(name)) return [];
    return [
      sentence({
        what: `${what} must be a service or web app of this homelab`,
        got: name,
        allowed: clients.join(', ') || 'none exists',
        fix: suggested(name, clients, 'correct the name, or remove it'),
      }),
    ];
  });
}

function tunedProblems(homelab: Homelab, place: string, model: TunedModel): string[] {
  return [
    ...trainingHost(homelab, `${place}.training.host`, model),
    ...baseRevision(`${place}.base.revision`, model),
    ...ofAdapters(`${place}.training`, model),
    ...(model.prompts?.length
      ? []
      : [
          sentence({
            what: `${place}.prompts must hold at least one prompt: an export is compared with the training on them`,
            got: model.prompts,
            fix: "write prompts: [{ prompt: 'What is a workspace?', contains: 'documents' }]",
          }),
        ]),
    ...(model.export?.quantization === 'f16' && model.export.tolerance !== undefined
      ? [
          sentence({
            what: `${place}.export.tolerance must be left out for f16, whose answers must be equal`,
            got: model.export.tolerance,
            fix: 'remove it',
          }),
        ]
      : []),
  ];
}

/** Validates that training runs on a Mac: the named one, or the only one. */
function trainingHost({ hosts }: Homelab, place: string, { training }: TunedModel): string[] {
  const macs = Object.keys(hosts).filter((name) => hosts[name]!.kind === 'mac');
  const { host } = training;
  if (host === undefined ? macs.length === 1 : macs.includes(host)) return [];
  const add = "add a Mac to hosts: mac: { kind: 'mac', model, memory, address }";
  return [
    sentence({
      what: `${place} must be a Mac of this homelab${host === undefined ? ': there is not exactly one' : ''}`,
      got: host,
      allowed: macs.join(', ') || 'none exists',
      fix: macs.length === 0 ? add : suggested(host ?? '', macs, 'name the Mac that trains'),
    }),
  ];
}

/** Validates the revision. A repository needs a commit, because its branches move. A folder needs a digest. */
function baseRevision(place: string, { base }: TunedModel): string[] {
  const folder = /^(\.{0,2}\/)/.test(base.repository);
  if (folder === base.revision.startsWith('sha256:')) return [];
  return [
    sentence({
      what: `${place} must be ${folder ? 'the digest of the folder' : 'a commit of the repository'}`,
      got: base.revision,
      allowed: folder ? 'sha256: and 64 digits' : '40 hexadecimal digits',
      fix: folder
        ? 'write the digest that this command prints: npm run models -- doctor'
        : `copy the newest commit from https://huggingface.co/${base.repository}/commits/main`,
    }),
  ];
}

function ofAdapters(place: string, { training }: TunedModel): string[] {
  if (training.kind !== 'full') return [];
  return (['rank', 'scale'] as const)
    .filter((field) => training[field] !== undefined)
    .map((field) =>
      sentence({
        what: `${place}.${field} must be left out for kind: 'full', which trains no adapter`,
        got: training[field],
        fix: "remove it, or write kind: 'lora'",
      }),
    );
}

/** Validates that each model has a unique name in Ollama. Names of versions (NAME:v1) belong to the trained model. */
function namesOnOllama(models: readonly (readonly [string, Model])[]): string[] {
  const owners = new Map<string, string>();
  const problems: string[] = [];
  const take = (onOllama: string, place: string) => {
    // Ollama ignores case in names.
    const key = onOllama.toLowerCase();
    const other = owners.get(key);
    const version = models.find(([name, model]) => isTuned(model) && versionOf(key) === name);
    if (other !== undefined)
      problems.push(
        sentence({
          what: `${place} must be a name of its own on Ollama`,
          got: `${onOllama}, which ${other} has`,
          fix: 'give one of the two another name, or remove it: services may share a model',
        }),
      );
    if (version !== undefined)
      problems.push(
        sentence({
          what: `${place} must not be a name of a version of ${at('llm.models', version[0])}`,
          got: onOllama,
          fix: `choose another name, such as ${version[0]}:stable`,
        }),
      );
    owners.set(key, place);
  };
  for (const [name, model] of models) {
    const place = at('llm.models', name);
    if (!isTuned(model)) take(model.tag, `${place}.tag`);
    if (isTuned(model) || (model.stable !== undefined && model.stable !== model.tag))
      take(servedName(name, model), model.stable === undefined ? place : `${place}.stable`);
  }
  return problems;
}

function versionOf(onOllama: string): string | undefined {
  return /^(.*):v\d+$/.exec(onOllama)?.[1];
}
