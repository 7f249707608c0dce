"""A walk through a network, an HTML page that shows every layer forward, the loss, and every layer backward.

trace         runs the network once and keeps all arrays
overview      describes network, picture and labels, and compares the walk with predict
explanations  fills numbers into the texts of explanations.toml
steps         lists the steps and the arrays that they show
payload       encodes the arrays
page          renders page_source/, whose scripts are ES modules; main.js is the first
"""

from .walk_page import Walk, is_walk, walk

__all__ = ["Walk", "is_walk", "walk"]
