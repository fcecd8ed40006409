import type { Compared } from './compare';
import type { Judged } from '../stages/models/published';

/** One HTML page without links or scripts. Answers of models are escaped. */
export function comparisonPage(name: string, tags: readonly [string, string], compared: readonly Compared[]): string {
  const rows = compared.map(
    ({ prompt, answers, similarity }) => `<tr>
<th scope="row">${escaped(prompt)}<p>${Math.round(similarity * 100)} % of the words in common</p></th>
${answers.map(cell).join('\n')}
</tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${escaped(`${name}: ${tags.join(' and ')}`)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { border: 1px solid #8886; padding: .6rem; text-align: left; vertical-align: top; white-space: pre-wrap; overflow-wrap: anywhere; }
th { font-weight: 600; } p { font-size: .85rem; margin: .4rem 0 0; opacity: .75; font-weight: 400; }
.bad { background: #e5484d22; } :root { color-scheme: light dark; }
</style>
</head>
<body>
<h1>${escaped(name)}</h1>
<table>
<thead><tr><th scope="col">Prompt</th>${tags.map((tag) => `<th scope="col">${escaped(tag)}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`;
}

function cell({ answer, expected, good }: Judged): string {
  return `<td${good ? '' : ' class="bad"'}>${escaped(answer)}<p>${good ? 'as expected' : 'not as expected'}: ${escaped(expected)}</p></td>`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => ESCAPES[letter]!);
}
