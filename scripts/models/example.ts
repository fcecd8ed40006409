import { credentialInText } from '../../values/credentials';

/** A fault in one line of training data, and its fix. */
export interface Fault {
  readonly problem: string;
  readonly fix: string;
}

/** Shapes of an example that mlx_lm accepts, each named by its key. */
export type ExampleShape = 'messages' | 'prompt' | 'text';

/** One line of training data. */
export interface Example {
  readonly shape: ExampleShape;
  /** Input of the model. Empty for a text. */
  readonly asked: string;
  /** Output that the model learns. */
  readonly said: string;
}

const SHAPES = '{"messages": [...]}, {"prompt": "...", "completion": "..."} or {"text": "..."}';
const ROLES = ['system', 'user', 'assistant', 'tool'];
/** Key that marks a line as free of credentials. Its value is the reason. mlx_lm ignores the key. */
const NO_SECRET = 'not_a_secret';

/** Parses one line. Returns the fault of a line that mlx_lm would reject or that holds a credential. */
export function parseExample(line: string): Example | Fault {
  if (line.trim() === '') return fault('the line is empty', 'remove it: mlx_lm reads each line as JSON');
  if (line.startsWith('\u{feff}'))
    return fault('it begins with a byte order mark', 'save the file as UTF-8 without BOM');
  if (line.includes('\u{fffd}'))
    return fault('a character could not be decoded', 'save the file as UTF-8, or remove it');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return fault(`it is not JSON: ${(error as Error).message}`, `one line is one example: ${SHAPES}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fault(`it must be an object, got ${shown(value)}`, `write ${SHAPES}`);
  const found = exampleOf(value as Record<string, unknown>);
  if (isFault(found)) return found;
  return credentialFault(value as Record<string, unknown>, found) ?? found;
}

export function isFault(value: Example | Fault): value is Fault {
  return 'problem' in value;
}

function exampleOf(value: Record<string, unknown>): Example | Fault {
  const shapes = (['messages', 'prompt', 'text'] as const).filter((key) => key in value);
  if (shapes.length !== 1)
    return fault(
      `it must have one shape, got the keys ${Object.keys(value).join(', ') || '(none)'}`,
      `write ${SHAPES}, and only one of them`,
    );
  if (shapes[0] === 'messages') return ofMessages(value.messages);
  if (shapes[0] === 'prompt') return ofPrompt(value.prompt, value.completion);
  const { text } = value;
  if (typeof text !== 'string') return fault(`text must be a string, got ${shown(text)}`, 'write the text in quotes');
  if (text.trim() === '') return fault('text is empty', 'remove the line');
  return { shape: 'text', asked: '', said: text };
}

function ofPrompt(prompt: unknown, completion: unknown): Example | Fault {
  if (typeof prompt !== 'string') return fault(`prompt must be a string, got ${shown(prompt)}`, 'write it in quotes');
  if (typeof completion !== 'string')
    return fault(`completion must be a string, got ${shown(completion)}`, 'write the answer in quotes');
  if (prompt.trim() === '') return fault('prompt is empty', 'write a prompt, or use {"text": "..."}');
  if (completion.trim() === '')
    return fault(
      'completion is empty: the model would learn to answer nothing',
      'write the answer, or remove the line',
    );
  return { shape: 'prompt', asked: prompt, said: completion };
}

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
  readonly tool_calls?: unknown;
}

function ofMessages(messages: unknown): Example | Fault {
  if (!Array.isArray(messages) || messages.length === 0)
    return fault(
      `messages must be a list of messages, got ${shown(messages)}`,
      'write [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]',
    );
  for (const [index, message] of messages.entries()) {
    const found = messageFault(message, index, messages);
    if (found !== undefined) return found;
  }
  const last = messages.at(-1) as Message;
  if (last.role !== 'assistant')
    return fault(
      `the last message must have the role assistant, got ${shown(last.role)}`,
      'end with the answer to learn',
    );
  if (!messages.some(({ role }) => role === 'user'))
    return fault('no message has the role user', 'add the message that the assistant answers');
  const text = (each: Message) => (typeof each.content === 'string' ? each.content : JSON.stringify(each.tool_calls));
  return { shape: 'messages', asked: messages.slice(0, -1).map(text).join('\n'), said: text(last) };
}

function messageFault(message: unknown, index: number, messages: readonly Message[]): Fault | undefined {
  const at = `messages[${index}]`;
  if (typeof message !== 'object' || message === null)
    return fault(`${at} must be a message, got ${shown(message)}`, 'write {"role": "...", "content": "..."}');
  const { role, content, tool_calls: calls } = message as Message;
  if (typeof role !== 'string' || !ROLES.includes(role))
    return fault(`${at}.role must be one of ${ROLES.join(', ')}, got ${shown(role)}`, 'correct the role');
  const isCall = role === 'assistant' && Array.isArray(calls) && calls.length > 0;
  if (typeof content !== 'string' && !isCall)
    return fault(`${at}.content must be a string, got ${shown(content)}`, 'write the text in quotes');
  if (!isCall && (content as string).trim() === '')
    return fault(`${at}.content is empty (${role})`, 'write it, or remove the line');
  if (role === 'system' && index > 0)
    return fault(
      `${at} has the role system, but is not the first message`,
      'put the system message first: most templates reject it elsewhere',
    );
  const before = messages[index - 1]?.role;
  if ((role === 'user' || role === 'assistant') && role === before)
    return fault(
      `${at} and the message before it both have the role ${role}`,
      'join them: in most templates user and assistant must alternate',
    );
  return role === 'assistant' && index === 0
    ? fault('the first message has the role assistant', 'begin with system or user')
    : undefined;
}

function credentialFault(value: Record<string, unknown>, { asked, said }: Example): Fault | undefined {
  const why = credentialInText(asked) ?? credentialInText(said);
  if (why === undefined) return undefined;
  const reason = value[NO_SECRET];
  if (typeof reason === 'string' && reason.trim() !== '') return undefined;
  return fault(
    // Does not show the text, because logs may keep it.
    `it seems to contain a credential (${why}), which the model would memorize`,
    `remove it, and replace it if it is real; if it is not a credential, add "${NO_SECRET}": "the reason" to the line`,
  );
}

function fault(problem: string, fix: string): Fault {
  return { problem, fix };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)} …` : text;
}
