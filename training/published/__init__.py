"""What a published study printed, as data: read it, compare a cohort with it, audit it."""

from pathlib import Path

from training.published.printed import Printed
from training.published.reading import PublishedError, load_published
from training.published.records import Published

__all__ = [
    "DEB_TACE",
    "DEB_TACE_COHORT",
    "Printed",
    "Published",
    "PublishedError",
    "load_published",
]

DEB_TACE = Path(__file__).with_name("deb-tace-2021.toml")
"""The numbers of the study behind the shipped models."""

DEB_TACE_COHORT = Path(__file__).with_name("deb-tace-2021.csv")
"""The cohort reconstructed from them with the default seed."""
