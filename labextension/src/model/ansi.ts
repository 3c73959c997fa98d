import Anser from 'anser';

/** A stretch of a line in one look; `className` names JupyterLab's own colours. */
export interface Stretch {
  readonly text: string;
  readonly className: string;
}

/* eslint-disable no-control-regex -- terminals are spoken to in control characters */
const CODES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
const COLOURS = /\u001b\[[\d;]*m/;
/* eslint-enable no-control-regex */

/** A line without its control sequences, as it is searched and downloaded. */
export function plain(line: string): string {
  return line.includes('\u001b') ? line.replace(CODES, '') : line;
}

/** Whether a line says how it wants to look. */
export function isColoured(line: string): boolean {
  return COLOURS.test(line);
}

/** A line's stretches; one without a class where it has no colours. */
export function stretches(line: string): Stretch[] {
  if (!isColoured(line)) {
    return [{ text: plain(line), className: '' }];
  }
  return Anser.ansiToJson(line, { use_classes: true, remove_empty: true })
    .map(entry => ({
      text: plain(entry.content),
      className: [
        colour(entry.fg, 'fg'),
        colour(entry.bg, 'bg'),
        ...entry.decorations.map(decoration => `ansi-${decoration}`)
      ]
        .filter(Boolean)
        .join(' ')
    }))
    .filter(stretch => stretch.text);
}

/** Anser's name of a colour in JupyterLab's words; colours beyond the sixteen keep the text's own. */
function colour(name: string | null, ground: 'fg' | 'bg'): string {
  const match = /^ansi-(bright-)?([a-z]+)$/.exec(name ?? '');
  return match ? `ansi-${match[2]}${match[1] ? '-intense' : ''}-${ground}` : '';
}
