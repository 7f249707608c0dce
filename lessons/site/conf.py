"""Configure Sphinx, which reads its sources from build/site-sources, where gather.py writes them."""

import base64
import hashlib
import inspect
import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from api import links, prepare_docstring
from docutils import nodes

import tinysegnet
from tinysegnet.viz import DARK, LIGHT

HERE = Path(__file__).parent

project = "tinysegnet"
copyright = "the authors of tinysegnet, MIT licence"
version = release = tinysegnet.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax",
              "sphinx.ext.viewcode"]  # fmt: skip
exclude_patterns = ["notebooks"]  # the students' copies, which are downloads
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "attrs_inline", "attrs_block", "deflist"]
myst_heading_anchors = 3
highlight_language = "none"
default_role = "code"
maximum_signature_line_length = 110
smartquotes = False  # typographic quotes would replace the prime of H'
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # formats attributes like arguments
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
viewcode_follow_imported_members = False  # names are documented where they are defined
suppress_warnings = ["misc.highlighting_failure"]  # caused by cells with magics or incomplete lines

# The outputs of lessons are cached until their code or the library's code changes. make.py chooses the folder.
nb_execution_mode = os.environ.get("TINYSEGNET_SITE_EXECUTE", "off")
nb_execution_cache_path = os.environ.get("TINYSEGNET_SITE_CACHE", "")
nb_execution_excludepatterns = os.environ.get("TINYSEGNET_SITE_SKIP", "").split()
nb_execution_timeout = 300
nb_execution_in_temp = False  # lesson 11 reads a file in its own folder
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"

mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}

html_theme = "furo"
html_title = "tinysegnet"
html_short_title = "tinysegnet"
html_static_path = [str(HERE / "static"), os.environ.get("TINYSEGNET_SITE_STATIC", "")]
html_static_path = [path for path in html_static_path if path]
html_extra_path = [path for path in [os.environ.get("TINYSEGNET_SITE_EXTRA", "")] if path]
html_favicon = str(HERE / "static" / "mark.svg")
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # the summary would fetch pages, which browsers refuse for a site opened from a disk
html_show_sphinx = False
html_last_updated_fmt = None
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def _variables(theme):
    """Return the colours of the library's pictures under furo's names."""
    return {
        "color-brand-primary": theme.mIoU,
        "color-brand-content": theme.mIoU,
        "color-brand-visited": theme.mIoU,
        "color-background-primary": theme.paper,
        "color-foreground-primary": theme.ink,
        "color-foreground-secondary": theme.muted,
        "color-foreground-muted": theme.muted,
        "color-background-border": theme.grid,
        "font-stack": 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif',
        "font-stack--monospace": 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
    }


html_theme_options = {
    "light_css_variables": {**_variables(LIGHT), "color-background-secondary": "#f6f6f8"},
    "dark_css_variables": {**_variables(DARK), "color-background-secondary": "#1f2025"},
    "navigation_with_keys": True,
}

LINKS = links()


def docstring(app, what, name, obj, options, lines):
    """Turn a plain docstring into markup, and remove the docstring of the type from data without a comment."""
    undocumented = what == "data" and lines and "\n".join(lines).strip() == (inspect.getdoc(type(obj)) or "").strip()
    lines[:] = [] if undocumented else prepare_docstring(lines, LINKS)


def find_source(app, name):
    """Let the "[source]" link of a public op lead to its definition in NumPy; the op itself is an assigned name."""
    from sphinx.pycode import ModuleAnalyzer

    analyzer = ModuleAnalyzer.for_module(name)
    analyzer.analyze()
    tags = dict(analyzer.tags)
    for public, value in vars(sys.modules[name]).items():
        definition = inspect.unwrap(value) if callable(value) else None
        if public not in tags and getattr(definition, "__module__", None) == name and definition.__name__ in tags:
            tags[public] = tags[definition.__name__]
    return analyzer.code, tags


def search_scripts(app, pagename, templatename, context, doctree):
    """Add the scripts that show excerpts to the search page only, because texts.js is large."""
    if pagename == "search":
        app.add_js_file("texts.js")
        app.add_js_file("excerpts.js")


def write_figures(app, doctree, docname):
    """Write the pictures in the HTML of figures to files, so that pages stay small."""
    folder = Path(app.outdir) / "_images"

    def written(found):
        png = base64.b64decode(found[1])
        name = f"figure-{hashlib.sha256(png).hexdigest()[:20]}.png"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png)
        return "../" * docname.count("/") + f"_images/{name}"

    for node in [node for node in doctree.findall(nodes.raw) if 'class="tinysegnet-figure"' in node.astext()]:
        text = re.sub(r"data:image/png;base64,([\w+/=]+)", written, node.astext())
        node.replace_self(nodes.raw("", text, format="html"))


def _text(doctree):
    """Return a page's text without the HTML that its cells display."""
    for node in list(doctree.findall(nodes.raw)):
        node.parent.remove(node)
    return " ".join(doctree.astext().split())


def write_texts(app, error):
    """Write the text of every page to texts.js."""
    if error is None and app.builder.format == "html":
        texts = {name: _text(app.env.get_doctree(name)) for name in sorted(app.env.found_docs)}
        target = Path(app.outdir) / "_static" / "texts.js"
        target.write_text(f"window.PAGE_TEXTS = {json.dumps(texts)};\n", encoding="utf-8")


def setup(app):
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before napoleon
    app.connect("viewcode-find-source", find_source)
    app.connect("html-page-context", search_scripts)
    app.connect("doctree-resolved", write_figures)
    app.connect("build-finished", write_texts)
