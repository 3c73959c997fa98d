"""Gets together what a new container needs: its claims, its GPUs and device, its image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..devices.placement import Gpu, Wish
from ..devices.records import LOCAL_DEVICE
from ..errors import Conflict
from ..operations.running import Progress
from .defaults import ContainerDefaults
from .image_types import EngineImage
from .images import ImageManager
from .maker import Draft
from .mounts import Grant
from .placing import Placer
from .ports import Ports
from .provision import Provisioner
from .references import parse_reference
from .registry import Registry
from .schemas import NewContainer
from .shares import limits_of, share_of_limits
from .starting import Starter

if TYPE_CHECKING:
    from ..store.secrets import Secrets


class Preparer:
    """Claims for drafts, in the order in which they become possible.

    Where GPUs decide on the device, its ports are claimed and its image is brought after they were
    granted; everything else is refused, or pulled, before anybody waits.
    """

    def __init__(
        self,
        registry: Registry,
        starter: Starter,
        images: ImageManager,
        placer: Placer,
        provisioner: Provisioner,
        secrets: Secrets,
        defaults: ContainerDefaults,
    ) -> None:
        self._registry = registry
        self._starter = starter
        self._images = images
        self._placer = placer
        self._provisioner = provisioner
        self._secrets = secrets
        self._defaults = defaults

    async def claim(
        self,
        caller: Account,
        body: NewContainer,
        grant: Grant,
        image: tuple[str, EngineImage | None],
        password: str | None,
        ports: Ports | None = None,
    ) -> Draft:
        """Claim all that can be claimed at once.

        Parameters
        ----------
        image
            What the engine is asked for, and what a device has by that name.
        ports
            Those that an earlier try was given.

        Raises
        ------
        Conflict
            The name or a port is taken, or no device has enough left.
        QuotaExceeded, InvalidRequest, Unavailable
            As `Placer.candidates` and `Registry.claim`.
        """
        argument, wanted = image
        devices = await self._placer.candidates(body, wanted)
        wish = body.wish
        if wish is not None and not self._placer.alone:
            wish = replace(wish, devices=tuple(devices))
        placed = wish is None or len(devices) == 1
        if wish is not None:
            devices = devices[:1] if placed else [LOCAL_DEVICE]
        wanted_ports = (body.ports if ports is None else ports) if placed else {}
        secret = self._secrets.encrypt(password) if password else None
        share = share_of_limits(*limits_of(body, self._defaults))
        for last, device in enumerate(devices, 1 - len(devices)):
            try:
                known, chosen = await self._registry.claim(
                    caller.id,
                    body.name,
                    body.image,
                    wanted_ports,
                    self._defaults.ports,
                    share,
                    wish.number if wish else 0,
                    secret,
                    device,
                )
            except Conflict as full:
                # Another device may have room.
                if full.kind != "device" or last == 0:
                    raise
            else:
                break
        return Draft(
            caller,
            body,
            known,
            chosen,
            grant,
            argument,
            password=password,
            wanted=wanted,
            wish=wish,
            placed=placed,
        )

    def needs_image(self, draft: Draft) -> bool:
        """Whether its image has to be brought, as far as its device is known."""
        if draft.wanted is None:
            return True
        have = self._images.index.devices(draft.wanted.id)
        if draft.placed:
            return draft.known.device not in have
        return any(did not in have for did in (draft.wish.devices if draft.wish else ()))

    async def take_gpus(self, draft: Draft) -> None:
        """Take the GPUs of a draft now, and with them its place.

        Raises
        ------
        Conflict
            There are none for it now, or a port is taken where they are.
        """
        if draft.wish is not None:
            await self._given(draft, await self._starter.gpus(draft.known, draft.wish))

    async def wait_for_gpus(
        self, draft: Draft, progress: Progress, *, stands: bool = False
    ) -> None:
        """Wait for the GPUs of a draft, and take its place with them.

        Parameters
        ----------
        stands
            As `Starter.wait`.
        """
        wish = draft.wish or Wish()
        waiting = self._starter.wait(draft.known, wish, progress, stands=stands)
        await self._given(draft, await waiting)

    async def _given(self, draft: Draft, gpus: tuple[Gpu, ...]) -> None:
        draft.gpus = gpus
        if not draft.placed:
            draft.known, draft.ports = await self._registry.place(
                draft.known, gpus[0].device, draft.body.ports, self._defaults.ports
            )
            draft.placed = True

    async def bring_image(self, draft: Draft, progress: Progress) -> None:
        """Have the device of a draft get its image.

        Raises
        ------
        NotFound
            It can't be pulled.
        Unavailable
            An engine or the registry does not answer.
        """
        device = draft.known.device
        if draft.wanted is not None:
            await self._provisioner.bring(draft.wanted, device, progress)
        elif device == LOCAL_DEVICE:
            await self._images.fetch(draft.owner, parse_reference(draft.image), progress)
        else:
            reference = parse_reference(draft.image)
            await self._images.admit(draft.owner, reference)
            await self._provisioner.fetch(reference, device, progress)

    def settle_image(self, draft: Draft) -> None:
        """Ask the device's engine for the image by what it is called there."""
        if draft.wanted is not None and draft.known.device != LOCAL_DEVICE:
            index, device = self._images.index, draft.known.device
            draft.image = index.on_device(device, draft.image, draft.wanted)
