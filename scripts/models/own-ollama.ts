import * as fs from 'node:fs';
import { basename } from 'node:path';
import type { Context } from '../clients/context';
import { OllamaApi } from '../clients/ollama-api';
import { LOCALHOST } from '../engine/commands';
import { Blocked, isFault } from '../engine/problem';

/** Client of the Ollama on this machine, which converts and quantizes. OLLAMA_HOST sets its address, as for Ollama itself. */
export function ownOllama({ commands }: Pick<Context, 'commands'>): OllamaApi {
  return new OllamaApi(commands, LOCALHOST, ownAddress().origin);
}

/** @throws Blocked when OLLAMA_HOST names another machine */
export function ownAddress(): URL {
  return loopback(ownUrl(process.env.OLLAMA_HOST ?? ''));
}

/** @throws Blocked when it may be another machine: models would be made and removed there. Ollama has no authentication */
export function loopback(url: string): URL {
  const parsed = new URL(url);
  if (['127.0.0.1', 'localhost', '[::1]'].includes(parsed.hostname)) return parsed;
  throw new Blocked(
    `OLLAMA_HOST must be a loopback address, got ${parsed.hostname}: this command makes and removes models on the Ollama of this machine. Set it:\n  export OLLAMA_HOST=127.0.0.1:11434`,
  );
}

/** Reads OLLAMA_HOST as Ollama does: scheme and port are optional, and 0.0.0.0 is only an address to listen on. */
export function ownUrl(host: string): string {
  const [, scheme = 'http', rest = ''] = /^(?:(https?):\/\/)?([^/]*)/.exec(host.trim())!;
  const [, name = '', port = '11434'] = /^(.*?)(?::(\d+))?$/.exec(rest)!;
  const address = name === '' || name === '0.0.0.0' || name === '[::]' ? '127.0.0.1' : name;
  return `${scheme}://${address}:${port}`;
}

/** @throws Blocked when Ollama does not answer */
export async function assertOwnOllama(ollama: OllamaApi): Promise<string> {
  try {
    return await ollama.version();
  } catch (error) {
    if (!isFault(error)) throw error;
    throw new Blocked(
      `Ollama does not answer on this machine: ${error.message}\nIt converts and quantizes models. Start it:\n  brew install ollama\n  brew services start ollama`,
    );
  }
}

/** A file with weights in the folder of Ollama. */
export interface WeightsFile {
  readonly file: string;
  /** With the prefix `sha256:`. */
  readonly digest: string;
  readonly size: number;
}

/** @throws Blocked when the model is not one file on this machine */
export async function weightsOf(ollama: OllamaApi, model: string): Promise<WeightsFile> {
  const { files = [] } = (await ollama.show(model)) ?? {};
  const [file, ...others] = files;
  if (file === undefined || others.length > 0)
    throw new Blocked(`${model} must be one file of weights, got ${files.length || 'none'} from Ollama`);
  const hex = /^sha256-([0-9a-f]{64})$/.exec(basename(file))?.[1];
  if (hex === undefined || !fs.existsSync(file))
    throw new Blocked(
      `the weights of ${model} are not on this machine. Ollama shows:\n  ${file}\nSet OLLAMA_HOST to the Ollama of this machine.`,
    );
  return { file, digest: `sha256:${hex}`, size: fs.statSync(file).size };
}
