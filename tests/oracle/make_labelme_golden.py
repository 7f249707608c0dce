"""Store masks of labelme's converter in tests/golden/imports: `python tests/oracle/make_labelme_golden.py`."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from import_samples import SHAPES, H, W
from labelme_converter import shape_to_mask

convert = shape_to_mask()
masks = {name: np.packbits(convert((H, W), points, kind)) for name, (kind, points) in SHAPES.items()}
np.savez_compressed(Path(__file__).parents[1] / "golden" / "imports" / "labelme_masks.npz", **masks)
