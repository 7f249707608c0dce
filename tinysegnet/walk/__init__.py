"""A walk through a network: a debugger in one HTML page. Every layer forward, the loss, every layer backward.

windows    which pixels of input and output belong together
trace      the network run once with everything kept
words      what is said of each kind of step
story      steps in order, and the arrays that they show
pack       arrays as bytes inside the page
page       the page itself; store.js, sums.js, view.js, arrows.js and app.js are what runs in it
"""

from .walking import Walk, walk

__all__ = ["Walk", "walk"]
