import { credentialInText } from '../../values/credentials';

/** What is wrong with one line of training data, and what to do. */
export interface Fault {
  readonly problem: string;
  readonly fix: string;
}

/** Shapes that mlx_lm takes, by the key that tells them apart. */
export type ExampleShape = 'messages' | 'prompt' | 'text';

/** One line of training data. */
export interface Example {
  readonly shape: ExampleShape;
  /** What is asked; empty for a text. */
  readonly asked: string;
  /** What the model is to say. */
  readonly said: string;
}

const SHAPES = '{"messages": [...]}, {"prompt": "...", "completion": "..."} or {"text": "..."}';
const ROLES = ['system', 'user', 'assistant', 'tool'];
/** Key of a line that holds no credential, whatever it looks like, with the reason. mlx_lm does not read it. */
const NO_SECRET = 'not_a_secret';

/** An example of the shapes that mlx_lm takes, or what is wrong with the line. */
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
  if (prompt.trim() === '') return fault('prompt is empty', 'write what is asked, or take {"text": "..."}');
  if (completion.trim() === '')
    return fault('completion is empty: the model would learn to say nothing', 'write the answer, or remove the line');
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
    return fault(`the last message must be of assistant, got ${shown(last.role)}`, 'end with the answer to be learned');
  if (!messages.some(({ role }) => role === 'user'))
    return fault('no message is of user', 'write what the assistant answers to');
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
      `${at} is of system, and not the first`,
      'put the system message first: most templates refuse another',
    );
  const before = messages[index - 1]?.role;
  if ((role === 'user' || role === 'assistant') && role === before)
    return fault(
      `${at} and the one before are both of ${role}`,
      'join them: most templates want user and assistant in turns',
    );
  return role === 'assistant' && index === 0
    ? fault('the first message is of assistant', 'begin with system or user')
    : undefined;
}

function credentialFault(value: Record<string, unknown>, { asked, said }: Example): Fault | undefined {
  const why = credentialInText(asked) ?? credentialInText(said);
  if (why === undefined) return undefined;
  const reason = value[NO_SECRET];
  if (typeof reason === 'string' && reason.trim() !== '') return undefined;
  return fault(
    // Never shows the text: a log may keep it.
    `it seems to hold a credential (${why}), which the model would learn by heart`,
    `take it out, and change it if it is real; if it is none, add "${NO_SECRET}": "the reason" to the line`,
  );
}

function fault(problem: string, fix: string): Fault {
  return { problem, fix };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)} …` : text;
}
