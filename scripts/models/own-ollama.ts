import * as fs from 'node:fs';
import { basename } from 'node:path';
import type { Context } from '../clients/context';
import { OllamaApi } from '../clients/ollama-api';
import { LOCALHOST } from '../engine/commands';
import { Blocked, isFault } from '../engine/problem';

/** The Ollama of this machine: it converts and quantizes. Where it listens is said by OLLAMA_HOST, as for Ollama itself. */
export function ownOllama({ commands }: Pick<Context, 'commands'>): OllamaApi {
  return new OllamaApi(commands, LOCALHOST, ownUrl(process.env.OLLAMA_HOST ?? ''));
}

/** As Ollama reads it: scheme and port may be left out, and 0.0.0.0 is where it listens, not where it is asked. */
export function ownUrl(host: string): string {
  const [, scheme = 'http', rest = ''] = /^(?:(https?):\/\/)?([^/]*)/.exec(host.trim())!;
  const [, name = '', port = '11434'] = /^(.*?)(?::(\d+))?$/.exec(rest)!;
  const address = name === '' || name === '0.0.0.0' || name === '[::]' ? '127.0.0.1' : name;
  return `${scheme}://${address}:${port}`;
}

/** @throws Blocked when it does not answer, with how to start it */
export async function assertOwnOllama(ollama: OllamaApi): Promise<string> {
  try {
    return await ollama.version();
  } catch (error) {
    if (!isFault(error)) throw error;
    throw new Blocked(
      `Ollama must run on this machine, because it converts and quantizes: ${error.message}\n  brew install ollama\n  brew services start ollama`,
    );
  }
}

/** A file with weights in the folder of Ollama: its path here, digest and size. */
export interface WeightsFile {
  readonly file: string;
  /** With its sha256: */
  readonly digest: string;
  readonly size: number;
}

/** @throws Blocked when the model is not one file that lies on this machine */
export async function weightsOf(ollama: OllamaApi, model: string): Promise<WeightsFile> {
  const { files = [] } = (await ollama.show(model)) ?? {};
  const [file, ...others] = files;
  if (file === undefined || others.length > 0)
    throw new Blocked(`${model} must be one file of weights, and Ollama shows ${files.length || 'none'}`);
  const hex = /^sha256-([0-9a-f]{64})$/.exec(basename(file))?.[1];
  if (hex === undefined || !fs.existsSync(file))
    throw new Blocked(
      `the weights of ${model} must lie on this machine, and Ollama shows ${file}; OLLAMA_HOST must name the Ollama of this machine`,
    );
  return { file, digest: `sha256:${hex}`, size: fs.statSync(file).size };
}
