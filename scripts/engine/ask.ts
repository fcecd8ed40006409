import { Interrupted, Declined } from './problem';

/** How the owner is asked. With `--yes` every question is answered already, except for names that must be typed. */
export interface Ask {
  /** @throws Refused when the answer is no, or nobody is there to answer */
  agree(question: string): Promise<void>;
  /** A name that must be typed as it is. @throws Refused when it is not */
  typed(question: string, name: string): Promise<void>;
  /** A text that only the owner knows, such as a token. It is not shown, and asked for once. */
  secret(question: string): Promise<string>;
}

export function terminal(yes: boolean, names: ReadonlySet<string>): Ask {
  const answers = new Map<string, string>();
  const there = process.stdin.isTTY === true && process.stdout.isTTY === true;
  return {
    async agree(question) {
      if (yes) return;
      if (!there) throw new Declined(`nobody is here to answer "${question}"; add --yes`);
      const { confirm } = await import('@inquirer/prompts');
      if (!(await answered(confirm({ message: question, default: false }))))
        throw new Declined('declined; nothing was changed');
    },
    async typed(question, name) {
      if (names.has(name)) return;
      if (!there) throw new Declined(`nobody is here to type ${name}; add --name=${name}`);
      const { input } = await import('@inquirer/prompts');
      const answer = await answered(input({ message: `${question} Type ${name}:` }));
      if (answer.trim() !== name) throw new Declined(`${JSON.stringify(answer)} is not ${name}; nothing was changed`);
    },
    async secret(question) {
      const known = answers.get(question);
      if (known !== undefined) return known;
      if (!there) throw new Declined(`nobody is here to answer "${question}"; run it in a terminal once`);
      const { password } = await import('@inquirer/prompts');
      const answer = await answered(password({ message: question, mask: true }));
      answers.set(question, answer);
      return answer;
    },
  };
}

/** @throws Interrupted on Ctrl-C, which a prompt takes for itself */
async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if ((error as Error).name === 'ExitPromptError') throw new Interrupted();
    throw error;
  }
}
