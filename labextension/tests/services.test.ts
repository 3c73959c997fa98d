import { describe, expect, it } from 'vitest';

import type { Api } from '../src/model/api';
import { offered, type Service } from '../src/model/services';
import { ServiceStore } from '../src/model/servicestore';
import type { EventSocket } from '../src/model/socket';
import { serviceTone } from '../src/view/servicestatus';

function service(part: Partial<Service> = {}): Service {
  return {
    name: 'vscode',
    status: 'running',
    port: 8080,
    pid: 7,
    uptime: 60,
    memory_bytes: 1e6,
    kind: 'process',
    actions: ['start', 'stop', 'restart'],
    opens: true,
    problem: null,
    ...part
  };
}

describe('what can be done with a service', () => {
  it('depends on how it is', () => {
    expect(offered(service())).toEqual(['stop', 'restart']);
    expect(offered(service({ status: 'stopped' }))).toEqual(['start']);
    expect(offered(service({ status: 'failed' }))).toEqual([
      'start',
      'stop',
      'restart'
    ]);
    expect(offered(service({ actions: [] }))).toEqual([]);
  });

  it('has a colour', () => {
    expect(serviceTone('running')).toBe('good');
    expect(serviceTone('failed')).toBe('bad');
    expect(serviceTone('not_installed')).toBe('idle');
  });
});

describe('the store', () => {
  type Feed = Parameters<EventSocket['follow']>[0];
  const followed: Feed[] = [];
  const socket = {
    follow: (following: Feed) => {
      followed.push(following);
      return { dispose: () => undefined, isDisposed: false };
    }
  } as unknown as EventSocket;
  const store = new ServiceStore({} as unknown as Api, socket);
  store.follow();
  const happen = (data: Parameters<Feed['onEvent']>[0]) =>
    followed.forEach(feed => feed.onEvent(data));

  it('keeps what an event leaves out, for the same process', () => {
    followed.forEach(feed => feed.onSnapshot?.({ items: [service()] }));
    const told = service({ uptime: null, memory_bytes: null });
    happen({ event: 'changed', service: told });
    expect(store.state.items?.get('vscode')?.memory_bytes).toBe(1e6);
    happen({ event: 'changed', service: { ...told, pid: 8 } });
    expect(store.state.items?.get('vscode')?.memory_bytes).toBeNull();
  });

  it('hands warnings on', () => {
    const heard: string[] = [];
    store.warned.connect((_, { message }) => heard.push(message));
    happen({ event: 'restart', name: 'jupyter', message: 'soon' });
    expect(heard).toEqual(['soon']);
  });
});
