"""Numbers and owners of images: kept in memory, written through to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from ..devices.records import LOCAL_DEVICE
from ..store import Store, utcnow
from .image_shares import no_share_of_ones_own
from .records import NOTEBOOK_IID, ImageRecord

SIGNAL = "images"


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image's record, as it is kept in memory.

    Parameters
    ----------
    readers
        The accounts that its owner shares it with.
    """

    iid: int
    engine_id: str
    owner: str | None = None
    puller: str | None = None
    public: bool = True
    device: int = LOCAL_DEVICE
    readers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a new image comes from; nobody's and everybody's unless it says more."""

    owner: str | None = None
    puller: str | None = None
    public: bool = True


class ImageRegistry:
    """Records of images."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.by_engine: dict[str, KnownImage] = {}
        self.by_iid: dict[int, KnownImage] = {}

    async def load(self) -> None:
        """Read everything, and see that the notebook image's number stays reserved."""
        table = ImageRecord.__table__
        async with self._store.read() as session:
            rows = (await session.execute(select(table))).all()
        if not any(row.iid == NOTEBOOK_IID for row in rows):
            await self._reserve()
        known = [
            KnownImage(
                row.iid,
                row.engine_id,
                row.owner,
                row.puller,
                row.public,
                row.device,
                # Whoever asked for this hears of other shares, too.
                before.readers if (before := self.by_iid.get(row.iid)) else frozenset(),
            )
            for row in rows
            if row.engine_id
        ]
        self.by_engine = {item.engine_id: item for item in known}
        self.by_iid = {item.iid: item for item in known}

    async def _reserve(self) -> None:
        try:
            async with self._store.write() as session:
                session.add(
                    ImageRecord(
                        iid=NOTEBOOK_IID,
                        device=LOCAL_DEVICE,
                        engine_id=None,
                        owner=None,
                        puller=None,
                        public=True,
                        created_at=utcnow(),
                    )
                )
        except IntegrityError:
            # Another server of the store was faster.
            return

    async def adopt(
        self, origins: Mapping[str, Origin], home: Callable[[str], int] = lambda _: LOCAL_DEVICE
    ) -> list[KnownImage]:
        """Give numbers to images, by their engine's id, that have none.

        Parameters
        ----------
        home
            Says which device has an image.
        """
        new = {key: origin for key, origin in origins.items() if key not in self.by_engine}
        if not new:
            return []
        try:
            adopted = await self._adopt(new, home)
        except IntegrityError:
            await self.load()
            new = {key: origin for key, origin in new.items() if key not in self.by_engine}
            adopted = await self._adopt(new, home)
        for known in adopted:
            self._put(known)
        return adopted

    async def _adopt(
        self, origins: Mapping[str, Origin], home: Callable[[str], int]
    ) -> list[KnownImage]:
        adopted = []
        async with self._store.write() as session:
            for engine_id, origin in origins.items():
                record = ImageRecord(
                    device=home(engine_id),
                    engine_id=engine_id,
                    owner=origin.owner,
                    puller=origin.puller,
                    public=origin.public,
                    created_at=utcnow(),
                )
                session.add(record)
                await session.flush()
                adopted.append(
                    KnownImage(
                        record.iid,
                        engine_id,
                        origin.owner,
                        origin.puller,
                        origin.public,
                        record.device,
                    )
                )
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)
        return adopted

    async def own(self, engine_id: str, origin: Origin) -> None:
        """Write down whose an image is that was numbered before."""
        known = self.by_engine[engine_id]
        values: dict[str, Any] = {
            "owner": origin.owner,
            "puller": origin.puller,
            "public": origin.public,
        }
        async with self._store.write() as session:
            await session.execute(
                update(ImageRecord).where(ImageRecord.iid == known.iid).values(**values)
            )
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)
        self._put(replace(known, **values))

    async def credit(self, engine_id: str, puller: str) -> None:
        """Write down whose pull brought an image that was numbered before its pull ended."""
        known = self.by_engine[engine_id]
        async with self._store.write() as session:
            await session.execute(
                update(ImageRecord).where(ImageRecord.iid == known.iid).values(puller=puller)
            )
        self._put(replace(known, puller=puller))

    async def put_notebook(self, engine_id: str) -> None:
        """Put an image behind the number that is the notebook image's, whatever was there."""
        table = ImageRecord
        async with self._store.write() as session:
            # The engine's event may have come first, and got it a number of its own.
            await session.execute(
                delete(table).where(table.engine_id == engine_id, table.iid != NOTEBOOK_IID)
            )
            await session.execute(
                update(table)
                .where(table.iid == NOTEBOOK_IID)
                .values(engine_id=engine_id, owner=None, puller=None, public=True)
            )
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)
        for known in (self.by_iid.get(NOTEBOOK_IID), self.by_engine.get(engine_id)):
            if known is not None:
                self.by_iid.pop(known.iid, None)
                self.by_engine.pop(known.engine_id, None)
        self._put(KnownImage(NOTEBOOK_IID, engine_id))

    async def give(self, account: str, to: str | None) -> None:
        """Make an account's images, and its right to delete what it pulled, somebody else's.

        Parameters
        ----------
        to
            None where what was pulled shall be nobody's.
        """
        async with self._store.write() as session:
            for column in (ImageRecord.owner, ImageRecord.puller):
                await session.execute(
                    update(ImageRecord).where(column == account).values({column: to})
                )
            if to is not None:
                await no_share_of_ones_own(session, to)
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)
        for known in tuple(self.by_engine.values()):
            if account in (known.owner, known.puller):
                owner = to if known.owner == account else known.owner
                puller = to if known.puller == account else known.puller
                readers = known.readers - {owner} if owner else known.readers
                self._put(replace(known, owner=owner, puller=puller, readers=readers))

    def shared(self, readers: Mapping[int, frozenset[str]]) -> list[tuple[KnownImage, KnownImage]]:
        """Take in who may use which image, by its number.

        Returns
        -------
        list of pairs
            Each image for which this was news: as it was, and as it is.
        """
        found = []
        for known in tuple(self.by_iid.values()):
            now = replace(known, readers=readers.get(known.iid, frozenset()))
            if now != known:
                self._put(now)
                found.append((known, now))
        return found

    async def release(self, engine_ids: list[str]) -> None:
        """Forget images that are gone."""
        iids = [self.by_engine[key].iid for key in engine_ids if key in self.by_engine]
        if not iids:
            return
        async with self._store.write() as session:
            await session.execute(
                delete(ImageRecord).where(
                    ImageRecord.iid.in_(iids), ImageRecord.iid != NOTEBOOK_IID
                )
            )
            if NOTEBOOK_IID in iids:
                # Its number outlives the image.
                await session.execute(
                    update(ImageRecord)
                    .where(ImageRecord.iid == NOTEBOOK_IID)
                    .values(engine_id=None)
                )
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)
        for key in engine_ids:
            known = self.by_engine.pop(key, None)
            if known is not None:
                self.by_iid.pop(known.iid, None)

    def _put(self, known: KnownImage) -> None:
        self.by_engine[known.engine_id] = known
        self.by_iid[known.iid] = known
