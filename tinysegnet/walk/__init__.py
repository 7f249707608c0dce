"""A walk through a network: a debugger in one HTML page. Every layer forward, the loss, every layer backward.

trace         the network run once with everything kept
overview      the rows of the first step, and how a walk and predict compare
explanations  what is said of each kind of step; the texts are in explanations.toml
steps         steps in order, and the arrays that they show
payload       arrays as bytes inside the page
page          the page itself; page_source/ has its template, style and scripts: ES modules, to be read from main.js on
"""

from .walk_page import Walk, is_walk, walk

__all__ = ["Walk", "is_walk", "walk"]
