"""What a version refuses.

PipelineError
|- InputRefused
|  |- FilterRefused     a filter cannot be read, or its number does not exist here
|  `- FormRefused       a text cannot be written in the form asked for
`- NothingToDo
   `- NothingToFreeze   no preference is left
"""

from __future__ import annotations

from pipelines.errors import InputRefused, NothingToDo


class FilterRefused(InputRefused):
    pass


class FormRefused(InputRefused):
    pass


class NothingToFreeze(NothingToDo):
    pass
