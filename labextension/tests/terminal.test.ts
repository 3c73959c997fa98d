import type { ServerConnection, Terminal } from '@jupyterlab/services';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ExecConnection } from '../src/model/terminal';
import { Opener, settle } from './sockets';

let opener: Opener;
let connection: ExecConnection;
let messages: Terminal.IMessage[];

beforeEach(() => {
  vi.useFakeTimers();
  opener = new Opener();
  connection = new ExecConnection(
    'web',
    {} as ServerConnection.ISettings,
    opener.open,
    'Ended.',
    () => Promise.resolve('Not running.')
  );
  messages = [];
  connection.messageReceived.connect((_, message) => {
    messages.push(message);
  });
});

afterEach(() => {
  vi.useRealTimers();
});

const printed = () => messages.map(({ content }) => content?.[0]).join('');

describe('a terminal in a container', () => {
  it("speaks the terminals' protocol", () => {
    connection.send({ type: 'set_size', content: [24, 80, 500, 600] });
    expect(connection.connectionStatus).toBe('connecting');
    opener.last.receive(['setup', {}]);
    expect(connection.connectionStatus).toBe('connected');
    connection.send({ type: 'stdin', content: ['ls\r'] });
    expect(opener.last.sent.map(text => JSON.parse(text) as unknown)).toEqual([
      ['set_size', 24, 80, 500, 600],
      ['stdin', 'ls\r']
    ]);
    opener.last.receive(['stdout', 'bin etc']);
    expect(messages).toEqual([{ type: 'stdout', content: ['bin etc'] }]);
  });

  it('ends when somebody ends its shell', () => {
    const disposed = vi.fn();
    connection.disposed.connect(disposed);
    opener.last.receive(['setup', {}]);
    connection.send({ type: 'stdin', content: ['exit\r'] });
    opener.last.receive(['disconnect', 1]);
    expect(disposed).toHaveBeenCalledOnce();
    expect(connection.isDisposed).toBe(true);
  });

  it('stays to be read when its shell ended by itself', () => {
    opener.last.receive(['setup', {}]);
    connection.send({ type: 'stdin', content: ['top\r'] });
    vi.setSystemTime(Date.now() + 60_000);
    opener.last.receive(['disconnect', 1]);
    expect(connection.isDisposed).toBe(false);
    expect(connection.connectionStatus).toBe('disconnected');
    expect(printed()).toContain('Ended.');
  });

  it("prints the server's reason when it is refused", () => {
    opener.last.drop('web is exited. Start it.');
    expect(printed()).toContain('web is exited. Start it.');
  });

  it('finds out why where the server gives no reason', async () => {
    opener.last.drop();
    await settle();
    expect(printed()).toContain('Not running.');
  });

  it('says so when the connection breaks', () => {
    opener.last.receive(['setup', {}]);
    opener.last.drop();
    expect(printed()).toContain('Ended.');
  });

  it('opens a new shell when it is asked to reconnect', async () => {
    opener.last.receive(['setup', {}]);
    const again = connection.reconnect();
    expect(opener.sockets).toHaveLength(2);
    expect(opener.sockets[0]?.closed).toBe(true);
    opener.last.receive(['setup', {}]);
    await again;
    expect(connection.connectionStatus).toBe('connected');
  });
});
