"""The picture of max-pooling and unpooling in the README: python examples/show_pool_arrows.py [OUT.png]"""

import sys

import numpy as np

from tinysegnet import viz
from tinysegnet_lessons import figures

x = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
figure = figures.show_pool_arrows(x, decoder_map=np.array([[10.0, 20], [30, 40]]))
viz.save_figure(figure, sys.argv[1] if len(sys.argv) > 1 else "pool_arrows.png")
