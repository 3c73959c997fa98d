import { describe, expect, it } from 'vitest';

import { largest } from '../src/model/changes';
import {
  Connection,
  hasWaysIn,
  isLoopback,
  pageAddress,
  sshCommand
} from '../src/model/connection';
import { EMPTY_FORM, toRequest } from '../src/model/form';
import { imageNamed } from '../src/model/reference';
import { image } from './things';

const WAY: Connection = {
  ip: '127.0.0.1',
  user: 'root',
  ports: { ssh: 20001, jupyter: 20002, tensorboard: null },
  has_password: true
};

describe('the way into a container', () => {
  it('is there with all three ports', () => {
    const ports = { '22/tcp': 1, '8888/tcp': 2, '6006/tcp': 3, '80/tcp': null };
    expect(hasWaysIn(ports)).toBe(true);
    expect(hasWaysIn({ ...ports, '6006/tcp': null })).toBe(false);
    expect(hasWaysIn({ '22/tcp': 1, '8888/tcp': 2 })).toBe(false);
  });

  it('is a command', () => {
    expect(sshCommand(WAY)).toBe('ssh -p 20001 root@127.0.0.1');
    expect(sshCommand({ ...WAY, ports: { ...WAY.ports, ssh: null } })).toBe(
      null
    );
  });

  it('may lead to the machine itself alone', () => {
    expect(['127.0.0.1', '127.3.2.1', '::1'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '10.0.0.7', '12.7.0.1'].some(isLoopback)).toBe(false);
  });

  it('leads to pages, and runs nothing here', () => {
    const base = 'http://here:8888/a/';
    expect(pageAddress('https://there:9/x?ticket=1', base)).toBe(
      'https://there:9/x?ticket=1'
    );
    expect(pageAddress('/pages/7/', base)).toBe('http://here:8888/pages/7/');
    expect(() => pageAddress('javascript:alert(1)', base)).toThrow();
    expect(() => pageAddress('data:text/html,x', base)).toThrow();
  });
});

describe('a new container', () => {
  const form = { ...EMPTY_FORM, image: 'lab', name: 'lab' };

  it('takes the ways in where its image has them and nobody declined', () => {
    expect(toRequest(form, true).connect).toBe(true);
    expect(toRequest({ ...form, connect: false }, true)).not.toHaveProperty(
      'connect'
    );
    expect(toRequest(form)).not.toHaveProperty('connect');
  });

  it('knows its image by what was typed', () => {
    const lab = image({ id: 'lab', tags: ['a/lab:2', 'lab:latest'] });
    const images = [image(), lab];
    expect(imageNamed(images, ' lab ')).toBe(lab);
    expect(imageNamed(images, 'a/lab:2')).toBe(lab);
    expect(imageNamed(images, 'a/lab')).toBeUndefined();
  });
});

describe('what changed', () => {
  it('begins with the largest files, without the folders that hold them', () => {
    const changes = {
      total: 5,
      size: 1015,
      truncated: false,
      items: [
        { path: '/opt', kind: 'changed' as const, size: 4096 },
        { path: '/opt/a', kind: 'added' as const, size: 10 },
        { path: '/opt/big', kind: 'added' as const, size: 1000 },
        { path: '/etc/old', kind: 'deleted' as const, size: null },
        { path: '/b', kind: 'changed' as const, size: 5 }
      ]
    };
    expect(largest(changes, 3).map(({ path }) => path)).toEqual([
      '/opt/big',
      '/opt/a',
      '/b'
    ]);
    expect(largest(changes, 9)).toHaveLength(4);
  });
});
