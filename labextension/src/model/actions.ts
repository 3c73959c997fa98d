import type { Api } from './api';
import { ApiError, Outcome } from './reply';
import { sharing } from './sharing';
import type { Deed, Store } from './store';
import type {
  Container,
  FieldProblem,
  Image,
  NewContainer,
  NewImage,
  Operation
} from './types';

const DEEDS: Readonly<Record<'start' | 'stop' | 'restart', Deed>> = {
  start: 'starting',
  stop: 'stopping',
  restart: 'restarting'
};

/** What a person does; each shows in the store at once and ends when the server says so. */
export class Actions {
  constructor(
    readonly api: Api,
    private readonly store: Store
  ) {}

  async act(
    container: Container,
    action: 'start' | 'stop' | 'restart'
  ): Promise<void> {
    const deed = this.store.begin(container.cid, DEEDS[action]);
    try {
      const outcome = await this.api.act(container.cid, action);
      if (outcome.done) {
        this.store.putContainer(outcome.data);
      } else {
        await this.end(outcome.operation);
      }
    } finally {
      deed.dispose();
    }
  }

  async keep(container: Container): Promise<void> {
    this.store.putContainer(await this.api.keep(container.cid));
  }

  async remove(container: Container): Promise<void> {
    const deed = this.store.begin(container.cid, 'deleting');
    try {
      await this.finish(await this.api.remove(container.cid));
      this.store.dropContainer(container.cid);
    } finally {
      deed.dispose();
    }
  }

  /**
   * Begin to make a container.
   *
   * @returns the operation, where it takes long; null where the container is there already.
   */
  async create(body: NewContainer): Promise<Operation | null> {
    const outcome = await this.api.create(body);
    if (outcome.done) {
      this.store.putContainer(outcome.data);
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }

  /** Begin to pull an image; null where there is nothing to wait for. */
  async pull(reference: string): Promise<Operation | null> {
    const outcome: Outcome<Image> = await this.api.pull(reference);
    if (outcome.done) {
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }

  /** Begin to save a container as an image; null where it is saved already. */
  async save(container: Container, body: NewImage): Promise<Operation | null> {
    const outcome = await this.api.save(container.cid, body);
    if (outcome.done) {
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }

  async removeImage(image: Image): Promise<void> {
    await this.finish(await this.api.removeImage(image.id));
  }

  /**
   * Share an image with these users in place of those who could use it when `image` was shown; who
   * came or went elsewhere since stays so, as does what was done before a failure.
   */
  async shareImage(image: Image, users: readonly string[]): Promise<void> {
    const now = this.store.state.images?.get(image.id) ?? image;
    const { add, remove } = sharing(image.shared_with, users);
    for (const user of remove.filter(name => now.shared_with.includes(name))) {
      await this.api.unshare(image.id, user);
    }
    for (const user of add) {
      await this.api.share(image.id, user);
    }
  }

  async cancel(operation: Operation): Promise<void> {
    await this.api.cancel(operation);
  }

  /** Wait for an operation; whoever waits tells of its failure, so that the panel need not. */
  async end(operation: Operation): Promise<Operation> {
    this.store.putOperation(operation);
    const ended = await this.store.ended(operation.id);
    if (ended.state === 'failed') {
      this.store.dismiss(ended.id);
      throw new ApiError(
        ended.error?.message ?? ended.message ?? ended.state,
        500,
        problemsOf(ended)
      );
    }
    return ended;
  }

  private async finish(outcome: Outcome<unknown>): Promise<void> {
    if (!outcome.done) {
      await this.end(outcome.operation);
    }
  }
}

/** The problems of fields among the facts about a failure: those that are named like rows. */
function problemsOf({ error }: Operation): FieldProblem[] {
  return Object.entries(error?.details ?? {}).flatMap(([field, message]) =>
    /^(?:ports|volumes|environment)\./.test(field) &&
    typeof message === 'string'
      ? [{ field, message }]
      : []
  );
}
