import { Clipboard } from '@jupyterlab/apputils';

/** Put text on the clipboard; works without TLS, too. */
export function copyText(text: string): void {
  Clipboard.copyToSystem(text);
}
