import { MainAreaWidget } from '@jupyterlab/apputils';
import { ITerminal, Terminal } from '@jupyterlab/terminal';
import type { ITranslator } from '@jupyterlab/translation';
import { terminalIcon } from '@jupyterlab/ui-components';

import { ExecConnection } from '../model/terminal';
import type { Desk } from '../view/desk';
import { label, nameOf } from './tabs';

/** JupyterLab's own terminal, with a shell in a container at its other end. */
export class TerminalTab extends MainAreaWidget<ITerminal.ITerminal> {
  constructor(
    desk: Desk,
    readonly cid: number,
    readonly number: number,
    options: Partial<ITerminal.IOptions>,
    translator: ITranslator
  ) {
    const { actions, trans } = desk;
    const { api } = actions;
    const name = nameOf(desk, cid);
    const connection = new ExecConnection(
      name,
      api.settings,
      () => api.openSocket(`containers/${cid}/exec`, { tty: '1' }),
      trans.__('The shell has ended.'),
      () => whyNot(desk, cid)
    );
    const terminal = new Terminal(
      connection,
      { ...options, shutdownOnClose: true },
      translator
    );
    super({ content: terminal, reveal: terminal.ready });
    this.id = `jupyter-ext-terminal-${cid}-${number}`;
    this.name = `${cid}-${number}`;
    this.title.icon = terminalIcon;
    this.title.closable = true;
    label(this, desk, cid, shown => shown);
  }

  /** Tells several terminals in one container apart. */
  readonly name: string;
}

/** A browser hides why a socket was refused, so the container is asked. */
async function whyNot(desk: Desk, cid: number): Promise<string> {
  const { actions, trans } = desk;
  try {
    const { name, status } = await actions.api.container(cid);
    return status === 'running'
      ? trans.__('No shell could be opened in %1.', name)
      : trans.__('%1 is not running. Start it first.', name);
  } catch (reason) {
    return reason instanceof Error ? reason.message : String(reason);
  }
}
