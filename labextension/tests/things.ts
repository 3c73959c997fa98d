import type { Container, Image, Operation } from '../src/model/types';

export function container(part: Partial<Container> = {}): Container {
  return {
    id: 'a'.repeat(64),
    cid: 1,
    name: 'web',
    status: 'running',
    image: 'nginx:latest',
    iid: 2,
    created_at: '2026-11-20T10:00:00Z',
    owner: 'admin',
    ports: {},
    device: 1,
    gpus: [],
    ...part
  };
}

export function image(part: Partial<Image> = {}): Image {
  return {
    id: 'sha256:0123456789abcdef',
    iid: 2,
    tags: ['nginx:latest'],
    size: 187_000_000,
    created_at: '2026-11-20T10:00:00Z',
    owner: null,
    public: true,
    shared_with: [],
    connect: false,
    ...part
  };
}

export function operation(part: Partial<Operation> = {}): Operation {
  return {
    id: 'op-1',
    kind: 'image.pull',
    subject: 'nginx:latest',
    state: 'running',
    progress: null,
    message: '',
    created_at: '2026-11-20T10:00:00Z',
    started_at: null,
    ended_at: null,
    error: null,
    ...part
  };
}
