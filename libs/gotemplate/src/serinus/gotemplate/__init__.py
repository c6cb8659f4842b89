"""Go's text/template without Go: pure, bounded, and in Go's own words where a text is wrong.

`text` prints numbers and durations as Go does, `syntax` reads templates, `template` renders them.
"""

from serinus.gotemplate.template import ExecError, ParseError, TemplateError, render

__all__ = ["ExecError", "ParseError", "TemplateError", "render"]
