import { describe, expect, it } from 'vitest';

import {
  check,
  EMPTY_FORM,
  Form,
  newFolder,
  newPort,
  newVariable,
  place,
  readVariables,
  toRequest
} from '../src/model/form';

const WORDS = {
  required: 'needed',
  port: 'no port',
  number: 'no number',
  twice: 'twice'
};

function form(part: Partial<Form> = {}): Form {
  return { ...EMPTY_FORM, image: 'nginx:latest', name: 'web', ...part };
}

describe('a form', () => {
  it('becomes the request that it stands for', () => {
    expect(
      toRequest(
        form({
          ports: [
            newPort({ host: '8080', container: '80' }),
            newPort({ container: '53', protocol: 'udp' })
          ],
          variables: [newVariable({ name: ' A ', value: ' b ' })],
          folders: [
            newFolder({ host: '/srv', container: '/data', readOnly: true })
          ],
          cpu: '1.5',
          memory: '512',
          command: 'sleep 1d'
        })
      )
    ).toEqual({
      name: 'web',
      image: 'nginx:latest',
      ports: { '80/tcp': 8080, '53/udp': null },
      environment: { A: ' b ' },
      volumes: [
        { host_path: '/srv', container_path: '/data', read_only: true }
      ],
      cpu: 1.5,
      mem: 512,
      command: 'sleep 1d'
    });
  });

  it('leaves out what nobody filled in', () => {
    const request = toRequest(
      form({
        ports: [newPort()],
        variables: [newVariable()],
        folders: [newFolder()]
      })
    );
    expect(request).toEqual({
      name: 'web',
      image: 'nginx:latest',
      ports: {},
      environment: {},
      volumes: []
    });
  });

  it('finds what could not be said to the server', () => {
    const port = newPort({ host: '99999', container: 'http' });
    const again = newPort({ host: '81', container: 'http' });
    const variable = newVariable({ value: 'x' });
    const folder = newFolder({ host: '/srv' });
    const problems = check(
      form({
        image: ' ',
        ports: [port, again],
        variables: [variable],
        folders: [folder],
        cpu: 'two',
        memory: '-1'
      }),
      WORDS
    );
    expect(Object.fromEntries(problems)).toEqual({
      image: 'needed',
      [`ports#${port.key}.host`]: 'no port',
      [`ports#${port.key}.container`]: 'no port',
      [`ports#${again.key}.container`]: 'twice',
      [`variables#${variable.key}.name`]: 'needed',
      [`folders#${folder.key}.container`]: 'needed',
      cpu: 'no number',
      memory: 'no number'
    });
  });

  it('has nothing against a port of this machine that is left to the server', () => {
    const ports = [newPort({ container: '80' })];
    expect(check(form({ ports }), WORDS).size).toBe(0);
  });
});

describe("the server's problems", () => {
  const empty = newFolder();
  const folder = newFolder({ host: '/etc', container: '/x' });
  const port = newPort({ host: '8080', container: '80' });
  const variable = newVariable({ name: 'A', value: '1' });
  const filled = form({
    ports: [newPort(), port],
    variables: [variable],
    folders: [empty, folder]
  });

  it('stand beside the row that they are about', () => {
    const { placed, rest } = place(filled, [
      { field: 'name', message: 'is taken' },
      { field: 'mem', message: 'too little' },
      { field: 'ports.80/tcp', message: 'is taken' },
      { field: 'environment.A', message: 'is reserved' },
      { field: 'volumes.0.host_path', message: 'is outside' },
      { field: 'volumes.0.container_path', message: 'is root' }
    ]);
    expect(Object.fromEntries(placed)).toEqual({
      name: 'is taken',
      memory: 'too little',
      [`ports#${port.key}.host`]: 'is taken',
      [`variables#${variable.key}.name`]: 'is reserved',
      [`folders#${folder.key}.host`]: 'is outside',
      [`folders#${folder.key}.container`]: 'is root'
    });
    expect(rest).toEqual([]);
  });

  it('stand with their part of the form where no row is named', () => {
    const { placed } = place(filled, [
      { field: 'ports', message: 'too many' },
      { field: 'volumes', message: 'too many' },
      { field: 'environment.B', message: 'is reserved' }
    ]);
    expect([...placed.keys()]).toEqual(['ports', 'folders', 'variables']);
  });

  it('are told together when they are about the same', () => {
    const { placed } = place(filled, [
      { field: 'name', message: 'One.' },
      { field: 'name', message: 'Two.' }
    ]);
    expect(placed.get('name')).toBe('One. Two.');
  });

  it('are kept when the form has no such field', () => {
    const { placed, rest } = place(filled, [
      { field: 'restart_policy', message: 'no such' },
      { field: '', message: 'all wrong' }
    ]);
    expect(placed.size).toBe(0);
    expect(rest).toEqual(['restart_policy: no such', 'all wrong']);
  });
});

describe('pasted variables', () => {
  it('become rows', () => {
    const rows = readVariables(
      '# a comment\nexport A=1\nB="two words"\n\nC=x=y\n'
    );
    expect(rows?.map(({ name, value }) => [name, value])).toEqual([
      ['A', '1'],
      ['B', 'two words'],
      ['C', 'x=y']
    ]);
  });

  it('are left alone when they are something else', () => {
    expect(readVariables('just = words')).toBeNull();
    expect(readVariables('')).toBeNull();
  });
});
