"""Fragments: small interactive pages inside lessons and on the site, which need no kernel and make no requests."""

from .fragment import NAMES, Fragment, show

__all__ = ["NAMES", "Fragment", "show"]
