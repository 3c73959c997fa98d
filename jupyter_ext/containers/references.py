"""Names of containers and images, so that no spelling of one reaches what another hides."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
ENGINE_ID = re.compile(r"[0-9a-f]{64}")
SHORT_ID = re.compile(r"[0-9a-f]{12,63}")

PRIVATE_NAMESPACE = "jupyter-ext"
"""Committed images are ``<namespace>/<owner>/<name>``."""

REFITTED_PREFIX = "refitted-"
"""Of the names of images that containers were made again of, with other GPUs."""

DEFAULT_REGISTRY = "docker.io"
"""Where the engine looks for a name without a host; nobody named it."""

NOTEBOOK_IMAGE = f"{PRIVATE_NAMESPACE}/notebook:latest"
"""The project's own image: in the namespace that nothing is pulled into, and no user's folder."""

_DEFAULT_REGISTRIES = (DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NEW_IMAGE = re.compile(_COMPONENT)
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9]"
    r"[a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?"
)
LONGEST_IMAGE_NAME = 100
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{6,64}")
_LONGEST = 255


def container_name_problem(name: str) -> str | None:
    """What is wrong with a container's name, None where it is good.

    Names that read as a number or an id are refused, since a container is found by either.
    """
    if not CONTAINER_NAME.fullmatch(name):
        return (
            "must have 1 to 63 letters, digits, dots, dashes and underscores, "
            "and begin with a letter or digit"
        )
    if name.isdigit():
        return "must not be a number: containers are found by their number, too"
    if re.fullmatch(r"[0-9a-f]{12,}", name):
        return "must not look like an id: containers are found by their id, too"
    return None


def engine_name(username: str, name: str) -> str:
    """The engine's own name of a container; names of users hold no dot."""
    return f"{username}.{name}"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """The name of an image, taken apart and written the one way that the engine writes it.

    Parameters
    ----------
    repository
        ``nginx``, ``someone/tool``, ``registry:5000/team/tool``.
    tag
        None where there is a digest.
    digest
        ``sha256:…`` of the manifest.
    """

    repository: str
    tag: str | None
    digest: str | None = None

    def __str__(self) -> str:
        if self.digest is not None:
            return f"{self.repository}@{self.digest}"
        return f"{self.repository}:{self.tag}"

    @property
    def registry(self) -> str:
        """Host (and port) that the image comes from."""
        first, slash, _ = self.repository.partition("/")
        return first if slash and _is_host(first) else DEFAULT_REGISTRY

    @property
    def private(self) -> bool:
        """Whether it lies where committed images of users do, whichever registry holds it."""
        return PRIVATE_NAMESPACE in self.repository.split("/")[:-1]


def refitted_reference(owner: str, account: str, cid: int) -> ImageReference:
    """The name of what a container was made again of."""
    return saved_reference(owner, account, f"{REFITTED_PREFIX}{cid}")


def is_refitted(name: str, cid: int) -> bool:
    """Whether a name is that of what this very container was made again of."""
    head, _, last = name.removesuffix(":latest").rpartition("/")
    return last == f"{REFITTED_PREFIX}{cid}" and head.startswith(f"{PRIVATE_NAMESPACE}/")


def image_name_problem(name: str) -> str | None:
    """What is wrong with the name of an image that is to be made, None where it is good."""
    if name.startswith(REFITTED_PREFIX):
        return (
            f"must not begin with {REFITTED_PREFIX}, which containers with other GPUs are made of"
        )
    name, colon, tag = name.partition(":")
    good = len(name) <= LONGEST_IMAGE_NAME and _NEW_IMAGE.fullmatch(name)
    if good and (not colon or _TAG.fullmatch(tag)):
        return None
    return (
        f"must have 1 to {LONGEST_IMAGE_NAME} lower-case letters and digits, between them dots, "
        "dashes or underscores; a tag may follow, as in tools:2"
    )


def saved_reference(owner: str, account: str, name: str) -> ImageReference:
    """The whole name of an image that a user makes.

    Parameters
    ----------
    owner, account
        The user's name, and what stands for it where an image's name can't hold it.
    name
        With or without a tag.
    """
    folder = owner if _NEW_IMAGE.fullmatch(owner) else account
    name, _, tag = name.partition(":")
    return ImageReference(f"{PRIVATE_NAMESPACE}/{folder}/{name}", tag or "latest")


def parse_reference(text: str, default_tag: str = "latest") -> ImageReference:
    """Take an image's name apart.

    The default registry is left out and its ``library/`` too, as the engine lists them; a digest
    beats a tag, as at the engine.

    Raises
    ------
    ValueError
        It is no name of an image; the text says why.
    """
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError("has a digest that is not sha256: and 64 hexadecimal digits")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, default_tag
    elif not _TAG.fullmatch(tag):
        raise ValueError(
            "has a tag that is not 1 to 128 letters, digits, dots, dashes, underscores"
        )
    first, slash, rest = head.partition("/")
    if slash and _is_host(first):
        host, path = first, rest
        if not _HOST.fullmatch(host):
            raise ValueError(f"has a registry {host!r} that is no host name")
    else:
        host, path = DEFAULT_REGISTRY, head
    if not path:
        raise ValueError("must not be empty")
    if not _REPOSITORY.fullmatch(path):
        raise ValueError("must be [registry/]name[:tag] in lower case, as nginx:latest")
    if host in _DEFAULT_REGISTRIES:
        repository = path.removeprefix("library/") if path.count("/") == 1 else path
    else:
        repository = f"{host}/{path}"
    if len(repository) > _LONGEST:
        raise ValueError(f"must not be longer than {_LONGEST} characters")
    return ImageReference(repository, None if at else tag, digest or None)


def looks_like_id(text: str) -> bool:
    """Whether an image may be meant by its id or the beginning of it."""
    return _ID.fullmatch(text) is not None


def _is_host(first: str) -> bool:
    """The engine's own rule for telling ``registry/name`` from ``someone/name``."""
    return "." in first or ":" in first or first == "localhost" or first != first.lower()
