"""Validations on other patients beside a bundle: those of this version, and those of others."""

from __future__ import annotations

from dataclasses import dataclass

from riskscore.bundle import EXTERNAL, Bundle
from riskscore.errors import BundleError
from riskscore.files import parse_json

__all__ = ["Attached", "attached_to"]


@dataclass(frozen=True)
class Attached:
    """The names of the validations beside a bundle: "external/here.json".

    Attributes
    ----------
    own : tuple of str
        That name the bundle's digest, or none that can be read: whoever reads one says what is
        wrong with it.
    void : tuple of str
        That name another digest: they judge what the bundle was before it was fitted again, and
        are never shown as its own. Nobody but their author removes them.
    """

    own: tuple[str, ...]
    void: tuple[str, ...]


def attached_to(bundle: Bundle) -> Attached:
    """Return the validations beside a bundle.

    Raises
    ------
    BundleError
        If the folder leads out of the bundle or holds too many.
    """
    names = bundle.attachments(EXTERNAL, ".json")
    void = tuple(n for n in names if _digest(bundle, n) not in ("", bundle.manifest.digest))
    return Attached(tuple(n for n in names if n not in void), void)


def _digest(bundle: Bundle, name: str) -> str:
    try:
        content = parse_json(bundle.attachment(name) or b"", name)
    except BundleError:
        return ""
    digest = content.get("digest") if isinstance(content, dict) else None
    return digest if isinstance(digest, str) else ""
