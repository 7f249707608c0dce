"""Pictures with label maps, drawn (`toyscenes`) or read from disk (`folders`), and the batches made from them."""

from .batches import Augment, batches, num_batches, resize_sample
from .class_weights import PixelCounts, count_pixels, median_frequency_weights, sqrt_median_frequency_weights
from .crops import make_crops
from .folders import Folder, open_dataset
from .image_files import read_image
from .label_encoding import read_labels
from .palette import CAMVID, Palette
from .sample import Dataset, InMemory, OneClass, Sample, check_dataset, labelled_images, read_sample

__all__ = ["CAMVID", "Augment", "Dataset", "Folder", "InMemory", "OneClass", "Palette", "PixelCounts",
           "Sample", "batches", "check_dataset", "count_pixels", "labelled_images",
           "make_crops", "median_frequency_weights", "num_batches", "open_dataset", "read_image", "read_labels",
           "read_sample", "resize_sample", "sqrt_median_frequency_weights"]  # fmt: skip
