"""A walk through a network: a debugger in one HTML page. Every layer forward, the loss, every layer backward.

windows    which pixels of input and output belong together
trace      the network run once with everything kept
facts      what the first page says, and how a walk and predict compare
words      what is said of each kind of step
story      steps in order, and the arrays that they show
pack       arrays as bytes inside the page
page       the page itself

page_source/ has the page's template, its style and its scripts: ES modules, to be read from main.js on. payload.js says
what they get from story, pack, facts and page.
"""

from .walk_page import Walk, is_walk, walk

__all__ = ["Walk", "is_walk", "walk"]
