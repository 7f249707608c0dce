"""Pictures of what a network sees, predicts and gets wrong. Nothing in this package runs a network.

Overlays, legends and label maps are composed with NumPy and Pillow, so that their pixels are exact. Diagrams (curves,
bars) are matplotlib figures made without pyplot, so that the same call works in scripts, notebooks and tests.
"""

from ..runtime.lazy_imports import import_lazily

import_lazily(__name__)
