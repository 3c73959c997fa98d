import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';

import type { Changes } from './changes';
import type { Connection, OpenPage, Service } from './connection';
import type { Database, NewDatabase } from './databases';
import { insist } from './insist';
import { ApiError, Outcome, readReply, wordsOf } from './reply';
import type {
  Container,
  ContainerDetail,
  Image,
  NewContainer,
  NewImage,
  Operation
} from './types';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** The server's REST calls that the panel makes. */
export class Api {
  constructor(readonly settings: ServerConnection.ISettings) {}

  /** The address of a route; `socket` for that of a WebSocket. */
  url(
    path: string,
    query: Record<string, string> = {},
    socket = false
  ): string {
    const base = socket ? this.settings.wsUrl : this.settings.baseUrl;
    const { token, appendToken } = this.settings;
    const all = socket && appendToken && token ? { ...query, token } : query;
    return URLExt.join(base, 'api/v1', path) + URLExt.objectToQueryString(all);
  }

  /** Open a WebSocket on a route. */
  openSocket(path: string, query: Record<string, string> = {}): WebSocket {
    return new this.settings.WebSocket(this.url(path, query, true));
  }

  container(cid: number): Promise<ContainerDetail> {
    return this.ask('GET', `containers/${cid}`);
  }

  /** Files that a container added, changed or deleted since it was made. */
  changes(cid: number): Promise<Changes> {
    return this.ask('GET', `containers/${cid}/changes`);
  }

  /** How to get into a container; its password only where that is asked for. */
  connection(cid: number, password = false): Promise<Connection> {
    const query = { password: String(password) };
    return this.ask('GET', `containers/${cid}/connection`, query);
  }

  /** A page of a container's, for a short time. */
  openPage(cid: number, service: Service): Promise<OpenPage> {
    // Not every name leads from the reader's browser to the page: the server can tell.
    const host = new URL(this.settings.baseUrl, location.href).hostname;
    return this.ask('POST', `containers/${cid}/open`, {}, { service, host });
  }

  /** Save a container as an image. */
  save(cid: number, body: NewImage): Promise<Outcome<Image>> {
    return this.call('POST', `containers/${cid}/commit`, body);
  }

  create(body: NewContainer): Promise<Outcome<Container>> {
    return this.call('POST', 'containers', body);
  }

  act(
    cid: number,
    action: 'start' | 'stop' | 'restart'
  ): Promise<Outcome<Container>> {
    return this.call('POST', `containers/${cid}/${action}`);
  }

  /** Keep a container running that is idle, for as long as it may be. */
  keep(cid: number): Promise<Container> {
    return this.ask('POST', `containers/${cid}/keep`);
  }

  remove(cid: number): Promise<Outcome<unknown>> {
    return this.call('DELETE', `containers/${cid}`);
  }

  async logs(cid: number, tail: number, timestamps: boolean): Promise<string> {
    const query = { tail: String(tail), timestamps: String(timestamps) };
    const { logs } = await this.ask<{ logs: string }>(
      'GET',
      `containers/${cid}/logs`,
      query
    );
    return logs;
  }

  pull(reference: string): Promise<Outcome<Image>> {
    return this.call('POST', 'images/pull', { name: reference });
  }

  removeImage(id: string): Promise<Outcome<unknown>> {
    return this.call('DELETE', `images/${encodeURIComponent(id)}`);
  }

  /** Let a user see and run an image. */
  share(id: string, username: string): Promise<Image> {
    return this.ask('PUT', this.sharePath(id, username));
  }

  /** Take an image back from a user. */
  unshare(id: string, username: string): Promise<Image> {
    return this.ask('DELETE', this.sharePath(id, username));
  }

  private sharePath(id: string, username: string): string {
    const image = encodeURIComponent(id);
    return `images/${image}/shares/${encodeURIComponent(username)}`;
  }

  /** Make a call that an operation may answer. */
  begin<T>(method: Method, path: string, body?: object): Promise<Outcome<T>> {
    return this.call(method, path, body);
  }

  createDatabase(body: NewDatabase): Promise<Outcome<Database>> {
    return this.call('POST', 'databases', body);
  }

  /** Make a database with the content of the one at a path. */
  cloneDatabase(
    path: string,
    body: { name: string; schema_only: boolean }
  ): Promise<Outcome<Database>> {
    return this.call('POST', `${path}/clone`, body);
  }

  cancel(operation: Operation): Promise<Outcome<unknown>> {
    return this.call('DELETE', `operations/${operation.id}`);
  }

  /** Whether the server has this extension at all. */
  async isThere(): Promise<boolean> {
    const response = await ServerConnection.makeRequest(
      this.url('status'),
      {},
      this.settings
    );
    return response.status !== 404;
  }

  /** Make a call that is answered by its result, never by an operation. */
  async ask<T>(
    method: Method,
    path: string,
    query: Record<string, string> = {},
    body?: object
  ): Promise<T> {
    const outcome = await this.call<T>(method, path, body, query);
    if (!outcome.done) {
      throw new ApiError('The server answered with an operation.', 202);
    }
    return outcome.data;
  }

  private async call<T>(
    method: Method,
    path: string,
    body?: object,
    query: Record<string, string> = {}
  ): Promise<Outcome<T>> {
    const headers: Record<string, string> = {
      'Content-Type': 'application/json',
      Prefer: 'respond-async'
    };
    const init: RequestInit = { method, headers };
    if (method === 'POST' || method === 'PUT') {
      headers['Idempotency-Key'] = UUID.uuid4();
      init.body = JSON.stringify(body ?? {});
    }
    return insist(async first => {
      let response: Response;
      try {
        response = await ServerConnection.makeRequest(
          this.url(path, query),
          init,
          this.settings
        );
      } catch (reason) {
        throw new ApiError(wordsOf(reason), 0);
      }
      if (method === 'DELETE' && !first && response.status === 404) {
        // The attempt that was broken off has deleted it.
        return { done: true, data: undefined as T };
      }
      return readReply<T>(response.status, await response.text());
    });
  }
}
