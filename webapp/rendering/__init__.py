"""What models wrote, made safe to show; nothing is dropped and nothing runs, loads or leads away.

`markdown.py` turns a text into safe HTML (read it first), with `controls.py` for characters that cannot be seen,
`code.py` for coloured code and `maths.py` for formulas; `turns.py` reads stored texts as turns and finds what the
completions of a comparison share. Pages reach all of it through the tags in `templatetags/texts.py`.
"""

from webapp.rendering.controls import visible
from webapp.rendering.markdown import inside_fences, markdown_html, source_html
from webapp.rendering.turns import Turn, one_line, turns

__all__ = ["Turn", "inside_fences", "markdown_html", "one_line", "source_html", "turns", "visible"]
